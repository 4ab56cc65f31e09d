"""Rotation as far as the local cloud can show it.

MiniStack has none of Cognito's calls for a second client secret, it does not know CancelRotateSecret, and its
RotateSecret does not call the function. So the tests call the function in Secrets Manager's place, and hold what the
local cloud refuses against what a user must see: a clear reason, and the old state back.
"""

import json
import uuid

import pytest
from cloud import request_token, verified_claims


@pytest.fixture
def manager(cloud):
    return cloud.client("secretsmanager")


@pytest.fixture
def rotation(cloud, platform):
    return Rotation(cloud, platform)


class Rotation:
    """The deployed rotation function."""

    def __init__(self, cloud, platform):
        self.cloud = cloud
        name = platform.physical_id("RotationFunction")
        self.arn = cloud.client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        self.log_group = platform.physical_id("RotationLogGroup")

    def step(self, step, secret, token):
        """Calls the function as Secrets Manager does. Returns its error, or None."""
        event = {"Step": step, "SecretId": secret, "ClientRequestToken": token, "RotationToken": str(uuid.uuid4())}
        answer = self.cloud.client("lambda").invoke(FunctionName=self.arn, Payload=json.dumps(event))
        said = json.loads(answer["Payload"].read() or b"null")
        return said["errorMessage"] if answer.get("FunctionError") else None

    def log(self):
        return self.cloud.log_of(self.log_group)


def stages(manager, secret):
    """The staging labels of each version."""
    versions = manager.describe_secret(SecretId=secret)["VersionIdsToStages"]
    return {version: sorted(labels) for version, labels in versions.items()}


def schedule(manager, secret):
    """The rotation function and the days between rotations, or None where rotation is off."""
    described = manager.describe_secret(SecretId=secret)
    if not described.get("RotationEnabled"):
        return None
    return described["RotationLambdaARN"], described["RotationRules"]["AutomaticallyAfterDays"]


def gets_a_token(secret):
    status, answer = request_token(secret)
    assert status == 200, answer
    return verified_claims(secret, answer["access_token"])["client_id"] == secret["client_id"]


def pend(manager, secret, value):
    """Stages a value as Secrets Manager and the function's createSecret do. Returns the version's id."""
    token = str(uuid.uuid4())
    manager.put_secret_value(
        SecretId=secret, SecretString=json.dumps(value), ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )
    return token


def test_rotation_is_turned_on_and_changed_through_the_stack(rotation, manager, stacks):
    stack = stacks("scheduled")
    clients = [{"ClientName": "a"}, {"ClientName": "b"}]
    assert stack.deploy(Clients=clients) == "CREATE_COMPLETE"
    secrets = [stack.outputs[f"SecretArn{index}"] for index in range(2)]
    before = [stack.secret(index) for index in range(2)]
    assert [schedule(manager, secret) for secret in secrets] == [None, None]
    for days in (30, 7):
        assert stack.deploy(Clients=clients, RotationDays=days) == "UPDATE_COMPLETE"
        assert [schedule(manager, secret) for secret in secrets] == [(rotation.arn, days)] * 2
    assert [stack.secret(index) for index in range(2)] == before
    assert all(gets_a_token(secret) for secret in before)
    # A Delete has nothing to turn off first.
    assert stack.delete() == "DELETE_COMPLETE"


def test_turning_rotation_off_fails_cleanly_where_the_cloud_cannot(rotation, manager, stacks):
    stack = stacks("off")
    assert stack.deploy(RotationDays=30) == "CREATE_COMPLETE"
    secret, before = stack.outputs["ClientSecretArn"], stack.secret()
    assert stack.deploy(RotationDays=0) == "UPDATE_ROLLBACK_COMPLETE"
    [reason] = stack.failures("M2M")
    assert "CancelRotateSecret" in reason and "machine-to-machine-off-client" in reason
    assert schedule(manager, secret) == (rotation.arn, 30)
    assert stack.secret() == before


def test_a_rotation_now_fails_cleanly_where_the_cloud_cannot_and_the_old_secret_works(manager, stacks):
    stack = stacks("now")
    assert stack.deploy() == "CREATE_COMPLETE"
    secret, before = stack.outputs["ClientSecretArn"], stack.secret()
    description = manager.describe_secret(SecretId=secret)["Description"]
    outputs = {**stack.outputs, "TokenVerification": ""}
    assert stack.deploy(RotateSecrets="2026-11-22") == "UPDATE_ROLLBACK_COMPLETE"
    [reason] = stack.failures("M2M")
    assert "AddUserPoolClientSecret" in reason and "machine-to-machine-now-client" in reason
    assert before["client_secret"] not in reason
    assert {**stack.outputs, "TokenVerification": ""} == outputs
    assert stack.secret() == before
    assert gets_a_token(before)
    # Nothing remembers a rotation that was not done.
    assert manager.describe_secret(SecretId=secret)["Description"] == description
    assert stack.delete() == "DELETE_COMPLETE"


def test_the_function_tries_a_new_schedule_out_as_secrets_manager_asks_it_to(rotation, manager, stacks):
    stack = stacks("trial")
    assert stack.deploy() == "CREATE_COMPLETE"
    secret, value = stack.outputs["ClientSecretArn"], stack.secret()
    token = pend(manager, secret, value)
    for step in ("createSecret", "setSecret", "testSecret", "finishSecret"):
        assert rotation.step(step, secret, token) is None, step
    assert stack.secret() == value
    assert not any("AWSPENDING" in labels for labels in stages(manager, secret).values())


def test_a_step_that_fails_says_which_and_moves_nothing(rotation, manager, stacks):
    stack = stacks("stepfails")
    assert stack.deploy() == "CREATE_COMPLETE"
    secret, value = stack.outputs["ClientSecretArn"], stack.secret()
    token = pend(manager, secret, {**value, "client_secret": "x" * 64})
    before = stages(manager, secret)
    error = rotation.step("setSecret", secret, token)
    assert "setSecret" in error and secret in error and "AddUserPoolClientSecret" in error
    error = rotation.step("changeSecret", secret, token)
    assert "changeSecret" in error
    error = rotation.step("setSecret", secret, str(uuid.uuid4()))
    assert "AWSPENDING" in error
    # The function has noted that Cognito may have the new secret.
    before[token] = [*before[token], "cognito-m2m-unfinished"]
    assert stages(manager, secret) == before
    assert stack.secret() == value

    log = rotation.log()
    text = "\n".join(log)
    assert value["client_secret"] not in text and "x" * 64 not in text
    lines = [json.loads(line) for line in log if line.startswith("{")]
    failed = [json.dumps(line) for line in lines if "failed" in json.dumps(line) and secret in json.dumps(line)]
    assert any("setSecret" in line and "ERROR" in line for line in failed), failed


def test_the_function_may_not_look_at_a_secret_that_is_not_ours(rotation, manager):
    theirs = manager.create_secret(Name="theirs", SecretString="theirs")
    try:
        error = rotation.step("createSecret", theirs["ARN"], theirs["VersionId"])
        assert "AccessDenied" in error
        assert stages(manager, theirs["ARN"]) == {theirs["VersionId"]: ["AWSCURRENT"]}
    finally:
        manager.delete_secret(SecretId=theirs["ARN"], ForceDeleteWithoutRecovery=True)


def test_the_alarms_are_there_with_a_topic_and_only_then(cloud, platform):
    watch = cloud.client("cloudwatch")
    assert watch.describe_alarms()["MetricAlarms"] == []
    topic = cloud.client("sns").create_topic(Name="alarms")["TopicArn"]
    parameters = {"DeployM2MStack": "false", "EnvironmentName": "watched", "AlarmTopicArn": topic}
    stack = cloud.sam_deploy("watched", parameters=parameters)
    try:
        alarms = watch.describe_alarms()["MetricAlarms"]
        assert {alarm["AlarmActions"][0] for alarm in alarms} == {topic}
        named = {(alarm["MetricName"], alarm["Dimensions"][0]["Value"]) for alarm in alarms}
        queue = lambda name: stack.physical_id(name).rpartition("/")[2]  # noqa: E731
        assert named == {
            ("Errors", "watched-rotation"),
            ("DestinationDeliveryFailures", "watched-provider"),
            ("NumberOfMessagesSent", queue("ProviderDeadLetterQueue")),
            ("NumberOfMessagesSent", queue("FailedRotationQueue")),
        }
    finally:
        assert stack.delete() == "DELETE_COMPLETE"
