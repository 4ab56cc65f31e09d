"""The built provider in a local cloud that enforces IAM, deployed by the real `sam deploy`."""

import json
import threading
import time

import pytest
from botocore.exceptions import ClientError
from cloud import Stack, request_token, verified_claims
from conftest import ROOT

SECRET_KEYS = {
    "token_service",
    "client_id",
    "client_secret",
    "token_endpoint",
    "scope",
    "issuer",
    "jwks_uri",
    "user_pool_id",
    "client_name",
}
ORDERS = {"Identifier": "orders", "Scopes": [{"ScopeName": "read"}, {"ScopeName": "write"}]}


def claims_of(secret, scope=None):
    """The verified claims of a token that the secret's client has just got."""
    status, answer = request_token(secret, scope)
    assert status == 200, answer
    return verified_claims(secret, answer["access_token"])


def scopes_of(claims):
    return set(claims["scope"].split())


def writes(calls):
    return [call for call in calls if not call.split(":")[1].startswith(("Describe", "Get", "List"))]


def client_names(cloud, pool):
    clients = cloud.client("cognito-idp").list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    return sorted(client["ClientName"] for client in clients)


def pools_of(cloud, stack_id):
    """The user pools that carry the ownership tag of a stack."""
    cognito = cloud.client("cognito-idp")
    ids = [pool["Id"] for pool in cognito.list_user_pools(MaxResults=60)["UserPools"]]
    tags = {id: cognito.describe_user_pool(UserPoolId=id)["UserPool"].get("UserPoolTags", {}) for id in ids}
    return [id for id in ids if tags[id].get("cognito-m2m:stack-id") == stack_id]


def secrets_of(cloud, stack_id):
    """The names of the live secrets that carry the ownership tag of a stack."""
    secrets = cloud.client("secretsmanager").list_secrets()["SecretList"]
    return [s["Name"] for s in secrets if {"Key": "cognito-m2m:stack-id", "Value": stack_id} in s["Tags"]]


def test_the_deployed_template_gives_a_client_that_gets_a_token_with_both_scopes(cloud, platform):
    outputs = platform.outputs
    secret, _ = cloud.secret(outputs["ClientSecretArn"])
    claims = claims_of(secret)
    assert scopes_of(claims) == {"m2m-client/read", "m2m-client/write"}
    assert claims["iss"] == outputs["Issuer"] == secret["issuer"]
    assert claims["client_id"] == outputs["ClientId"] == secret["client_id"]
    assert claims["token_use"] == "access"
    assert claims["exp"] - claims["iat"] == 60 * 60


def test_the_template_exports_every_output_under_the_name_of_its_stack(cloud, platform):
    exports = cloud.client("cloudformation").list_exports()["Exports"]
    assert {e["Name"]: e["Value"] for e in exports} == {f"platform-{k}": v for k, v in platform.outputs.items()}
    assert set(platform.outputs) == {
        "ServiceToken",
        "UserPoolId",
        "ClientId",
        "ClientSecretArn",
        "Domain",
        "TokenEndpoint",
        "Issuer",
        "JwksUri",
        "DiscoveryUrl",
    }


def test_the_template_deploys_the_provider_alone_for_a_platform_team(cloud):
    stack = cloud.sam_deploy("alone", parameters={"DeployM2MStack": "false", "EnvironmentName": "alone"})
    assert set(stack.outputs) == {"ServiceToken"}
    assert stack.delete() == "DELETE_COMPLETE"


def test_with_a_prefix_the_roles_still_reach_the_secrets_of_the_templates_own_stack(cloud):
    stack = cloud.sam_deploy("narrow", parameters={"EnvironmentName": "narrow", "SecretsPrefix": "m2m/"})
    secret, _ = cloud.secret(stack.outputs["ClientSecretArn"])
    assert ":secret:m2m/machine-to-machine-narrow/" in stack.outputs["ClientSecretArn"]
    assert claims_of(secret)["client_id"] == stack.outputs["ClientId"]
    assert stack.delete() == "DELETE_COMPLETE"


def test_the_template_makes_a_pool_without_a_domain_and_gives_it_one_later(cloud):
    # The local AWS does not know GetClientToken, so nothing can check the token.
    private = {"EnvironmentName": "private", "TokenService": "API", "VerifyToken": "false"}
    stack = cloud.sam_deploy("private", parameters=private)
    made = stack.outputs
    secret, _ = cloud.secret(made["ClientSecretArn"])
    assert "Domain" not in made
    assert cloud.domain_owner("m2m-rubicon-private") is None
    assert (secret["token_service"], secret["token_endpoint"]) == ("GetClientToken", f"{cloud.endpoint}/")
    client = {"UserPoolId": made["UserPoolId"], "ClientId": made["ClientId"]}
    described = cloud.client("cognito-idp").describe_user_pool_client(**client)["UserPoolClient"]
    assert described["ExplicitAuthFlows"] == ["ALLOW_CLIENT_TOKEN_AUTH"]

    stack = cloud.sam_deploy("private", parameters={**private, "TokenService": "DOMAIN", "VerifyToken": "true"})
    assert {name: stack.outputs[name] for name in made if name != "TokenEndpoint"} == {
        name: value for name, value in made.items() if name != "TokenEndpoint"
    }
    assert cloud.domain_owner("m2m-rubicon-private") == made["UserPoolId"]
    switched, _ = cloud.secret(made["ClientSecretArn"])
    assert switched["token_service"] == "oauth2"
    # Compared first, so that a failure does not print it.
    kept = switched["client_secret"] == secret["client_secret"]
    assert kept
    assert scopes_of(claims_of(switched)) == {"m2m-client/read", "m2m-client/write"}
    assert stack.delete() == "DELETE_COMPLETE"


def test_a_custom_domain_is_made_beside_the_prefix_domain_and_deleted_before_the_pool(cloud, stacks):
    stack = stacks("named")
    certificate = "arn:aws:acm:us-east-1:000000000000:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
    custom = {"DomainName": "auth.orders.example.com", "CertificateArn": certificate}
    assert stack.deploy(CustomDomain=custom) == "CREATE_COMPLETE"
    pool = stack.outputs["UserPoolId"]
    assert [cloud.domain_owner(name) for name in ("m2m-rubicon-named", custom["DomainName"])] == [pool, pool]
    assert stack.deploy() == "UPDATE_COMPLETE"
    assert cloud.domain_owner(custom["DomainName"]) is None
    assert stack.deploy(CustomDomain=custom) == "UPDATE_COMPLETE"
    assert stack.delete() == "DELETE_COMPLETE"
    assert cloud.domain_owner(custom["DomainName"]) is None


def test_readers_are_named_in_the_secrets_policy_until_they_are_removed(cloud, provider, stacks):
    stack = stacks("shared")
    reader = "arn:aws:iam::000000000000:role/reader"
    clients = [{"ClientName": "worker", "SecretReaders": [reader]}]
    # The role's own statement has the condition secretsmanager:BlockPublicPolicy.
    with provider.allowed("secretsmanager:PutResourcePolicy"):
        assert stack.deploy(Clients=clients) == "CREATE_COMPLETE"
    secret = {"SecretId": stack.outputs["ClientSecretArn"]}
    secrets_manager = cloud.client("secretsmanager")
    [statement] = json.loads(secrets_manager.get_resource_policy(**secret)["ResourcePolicy"])["Statement"]
    assert (statement["Sid"], statement["Principal"]) == ("CognitoM2MReaders", {"AWS": [reader]})
    assert stack.deploy(Clients=[{"ClientName": "worker"}]) == "UPDATE_COMPLETE"
    assert not secrets_manager.get_resource_policy(**secret).get("ResourcePolicy")


def test_every_attribute_is_there_and_says_what_cognito_says(cloud, stacks):
    stack = stacks("attributes")
    clients = [{"ClientName": "a"}, {"ClientName": "b"}]
    assert stack.deploy(ResourceServers=[ORDERS], Clients=clients) == "CREATE_COMPLETE"
    outputs = stack.outputs
    pool = stack.physical_id("M2M")
    described = cloud.client("cognito-idp").describe_user_pool(UserPoolId=pool)["UserPool"]
    assert outputs["UserPoolId"] == pool
    assert outputs["UserPoolArn"] == described["Arn"]
    assert outputs["UserPoolName"] == described["Name"] == "machine-to-machine-attributes"
    assert outputs["Issuer"] == f"https://cognito-idp.us-east-1.amazonaws.com/{pool}"
    assert outputs["JwksUri"] == f"{cloud.endpoint}/{pool}/.well-known/jwks.json"
    assert outputs["DiscoveryUrl"] == f"{cloud.endpoint}/{pool}/.well-known/openid-configuration"
    assert outputs["Domain"] == "m2m-rubicon-attributes.auth.us-east-1.amazoncognito.com"
    assert outputs["TokenEndpoint"] == f"{cloud.endpoint}/oauth2/token"
    assert outputs["ClientId"] == outputs["ClientId0"]
    assert outputs["ClientSecretArn"] == outputs["SecretArn0"]
    assert outputs["ClientIds"] == f"{outputs['ClientId0']},{outputs['ClientId1']}"
    assert outputs["Scopes"] == "orders/read orders/write"
    assert outputs["TokenVerification"] == "verified"
    assert cloud.domain_owner("m2m-rubicon-attributes") == pool


def test_the_secret_has_its_keys_and_nothing_else_holds_the_client_secret(cloud, stacks):
    stack = stacks("secret")
    assert stack.deploy(Clients=[{"ClientName": "worker"}]) == "CREATE_COMPLETE"
    secret = stack.secret()
    assert set(secret) == SECRET_KEYS
    assert secret["client_name"] == "worker"
    assert secret["user_pool_id"] == stack.outputs["UserPoolId"]
    assert secret["scope"] == "m2m-client/read m2m-client/write"
    manager = cloud.client("secretsmanager")
    description = manager.describe_secret(SecretId=stack.outputs["ClientSecretArn"])
    assert description["Name"] == "machine-to-machine-secret/worker"
    events = stack.cloudformation.describe_stack_events(StackName=stack.name)["StackEvents"]
    for public in (stack.outputs, description, events):
        assert secret["client_secret"] not in json.dumps(public, default=str)


def test_pool_and_secret_carry_the_ownership_tags_and_the_users_own(cloud, stacks):
    stack = stacks("tags")
    assert stack.deploy(ProjectTag="shop", Tags={"Team": "blue"}) == "CREATE_COMPLETE"
    expected = {
        "Environment": "tags",
        "Project": "shop",
        "ManagedBy": "cognito-m2m",
        "cognito-m2m:stack-id": stack.description["StackId"],
        "cognito-m2m:logical-id": "M2M",
        "Team": "blue",
    }
    pool = cloud.client("cognito-idp").describe_user_pool(UserPoolId=stack.outputs["UserPoolId"])["UserPool"]
    secret = cloud.client("secretsmanager").describe_secret(SecretId=stack.outputs["ClientSecretArn"])
    note = pool["UserPoolTags"].pop("cognito-m2m:applied")
    assert len(note) <= 256
    assert pool["UserPoolTags"] == expected
    assert {tag["Key"]: tag["Value"] for tag in secret["Tags"]} == expected


def test_an_update_that_changes_nothing_writes_nothing(cloud, stacks):
    stack = stacks("noop")
    assert stack.deploy() == "CREATE_COMPLETE"
    outputs = stack.outputs
    _, version = cloud.secret(outputs["ClientSecretArn"])
    before = time.time()
    # CloudFormation sends an Update because a property has changed, one that means nothing to the provider.
    assert stack.deploy(ServiceTimeout=121) == "UPDATE_COMPLETE"
    calls = cloud.calls_of_the_provider(since=before)
    assert calls, "the provider looked at nothing"
    assert writes(calls) == []
    # TokenVerification tells of the operation, not of the stack: no token was asked for this time.
    assert {**stack.outputs, "TokenVerification": ""} == {**outputs, "TokenVerification": ""}
    assert cloud.secret(outputs["ClientSecretArn"])[1] == version


def test_an_update_changes_everything_in_place_and_keeps_the_ids(cloud, stacks):
    stack = stacks("update")
    worker = {"ClientName": "worker", "AllowedOAuthScopes": ["orders/read"], "AccessTokenValidityMinutes": 60}
    assert stack.deploy(ResourceServers=[ORDERS], Clients=[worker]) == "CREATE_COMPLETE"
    outputs, old = stack.outputs, stack.secret()

    orders = {"Identifier": "orders", "Scopes": [{"ScopeName": "read"}, {"ScopeName": "cancel"}]}
    worker = {"ClientName": "worker", "AllowedOAuthScopes": ["orders/cancel"], "AccessTokenValidityMinutes": 10}
    status = stack.deploy(
        ResourceServers=[orders], Clients=[worker, {"ClientName": "second"}], ProjectTag="new", Tags={"Team": "red"}
    )
    assert status == "UPDATE_COMPLETE"
    assert stack.physical_id("M2M") == outputs["UserPoolId"] == stack.outputs["UserPoolId"]
    assert stack.outputs["ClientId0"] == outputs["ClientId0"]
    new = stack.secret()
    assert new == {**old, "scope": "orders/cancel"}
    claims = claims_of(new)
    assert scopes_of(claims) == {"orders/cancel"}
    assert claims["exp"] - claims["iat"] == 10 * 60
    assert scopes_of(claims_of(stack.secret(1))) == {"orders/read", "orders/cancel"}
    tags = cloud.client("cognito-idp").describe_user_pool(UserPoolId=outputs["UserPoolId"])["UserPool"]["UserPoolTags"]
    assert (tags["Project"], tags["Team"]) == ("new", "red")

    # And the second client goes as it came.
    assert stack.deploy(ResourceServers=[orders], Clients=[worker]) == "UPDATE_COMPLETE"
    assert client_names(cloud, outputs["UserPoolId"]) == ["worker"]
    assert secrets_of(cloud, stack.description["StackId"]) == ["machine-to-machine-update/worker"]


def test_a_changed_domain_and_name_are_changed_in_place(cloud, stacks):
    stack = stacks("renamed")
    assert stack.deploy(DomainPrefix="before") == "CREATE_COMPLETE"
    pool = stack.outputs["UserPoolId"]
    assert stack.deploy(DomainPrefix="after") == "UPDATE_COMPLETE"
    assert stack.outputs["UserPoolId"] == pool
    assert stack.outputs["Domain"].startswith("after-renamed.")
    assert cloud.domain_owner("after-renamed") == pool
    assert cloud.domain_owner("before-renamed") is None


def test_every_mistake_in_the_properties_is_told_at_once_and_nothing_is_written(cloud, stacks):
    stack = stacks("mistakes")
    before = time.time()
    status = stack.deploy(
        UserPoolTier="GOLD",
        Colour="red",
        Clients=[{"ClientName": "a"}, {"ClientName": "b", "AllowedOAuthScopes": ["orders/read"]}],
    )
    assert status == "ROLLBACK_COMPLETE"
    [reason] = stack.failures("M2M")
    for path in ("UserPoolTier", "Colour", "Clients[1].AllowedOAuthScopes[0]"):
        assert path in reason
    assert writes(cloud.calls_of_the_provider(since=before)) == []


def test_an_update_that_fails_half_way_is_rolled_back_to_what_there_was(cloud, provider, stacks):
    stack = stacks("rollback")
    worker = {"ClientName": "worker", "AllowedOAuthScopes": ["orders/read"]}
    assert stack.deploy(ResourceServers=[ORDERS], Clients=[worker]) == "CREATE_COMPLETE"
    outputs, secret = stack.outputs, stack.secret()

    orders = {"Identifier": "orders", "Scopes": [{"ScopeName": "cancel"}]}
    clients = [{**worker, "AllowedOAuthScopes": ["orders/cancel"]}, {"ClientName": "second"}]
    with provider.denied("secretsmanager:CreateSecret"):
        assert stack.deploy(ResourceServers=[orders], Clients=clients) == "UPDATE_ROLLBACK_COMPLETE"
    [reason] = stack.failures("M2M")
    assert "AccessDenied" in reason and "machine-to-machine-rollback/second" in reason

    assert stack.outputs == outputs
    assert stack.secret() == secret
    assert scopes_of(claims_of(secret)) == {"orders/read"}
    assert client_names(cloud, outputs["UserPoolId"]) == ["worker"]
    servers = cloud.client("cognito-idp").list_resource_servers(UserPoolId=outputs["UserPoolId"], MaxResults=50)
    assert [s["ScopeName"] for s in servers["ResourceServers"][0]["Scopes"]] == ["read", "write"]


def test_a_create_that_fails_half_way_leaves_nothing_after_the_delete_that_follows(cloud, provider, stacks):
    stack = stacks("halfway")
    with provider.denied("secretsmanager:CreateSecret"):
        assert stack.deploy() == "ROLLBACK_COMPLETE"
    [reason] = stack.failures("M2M")
    assert "AccessDenied" in reason
    # MiniStack does not send this Delete. CloudFormation may even send it with an id of its own invention.
    stack_id = stack.description["StackId"]
    properties = {"EnvironmentName": "halfway"}
    [answer] = provider.send(provider.event("Delete", stack_id, properties, physical_id="halfway-M2M-1ABCDEFGHIJKL"))
    assert answer["Status"] == "SUCCESS", answer.get("Reason")
    assert pools_of(cloud, stack_id) == []
    assert secrets_of(cloud, stack_id) == []
    assert cloud.domain_owner("m2m-rubicon-halfway") is None


def test_a_create_delivered_twice_at_once_makes_one_of_everything(cloud, provider):
    stack_id = "arn:aws:cloudformation:us-east-1:000000000000:stack/twice/6c2ce4c0-0000-11f0-8000-0a0000000001"
    properties = {"EnvironmentName": "twice"}
    create = provider.event("Create", stack_id, properties)
    answers = provider.send(create, create)
    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS"], answers
    assert len({answer["PhysicalResourceId"] for answer in answers}) == 1
    [pool] = pools_of(cloud, stack_id)
    assert pool == answers[0]["PhysicalResourceId"]
    assert client_names(cloud, pool) == ["machine-to-machine-twice-client"]
    assert secrets_of(cloud, stack_id) == ["machine-to-machine-twice/machine-to-machine-twice-client"]
    secret, _ = cloud.secret("machine-to-machine-twice/machine-to-machine-twice-client")
    assert claims_of(secret)["client_id"] == secret["client_id"]

    [answer] = provider.send(provider.event("Delete", stack_id, properties, physical_id=pool))
    assert answer["Status"] == "SUCCESS", answer.get("Reason")
    assert pools_of(cloud, stack_id) == []


def test_a_deleted_stack_leaves_no_pool_client_domain_or_live_secret(cloud, stacks):
    stack = stacks("gone")
    assert stack.deploy() == "CREATE_COMPLETE"
    outputs, secret, stack_id = stack.outputs, stack.secret(), stack.description["StackId"]
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.client("cognito-idp").describe_user_pool(UserPoolId=outputs["UserPoolId"])
    assert cloud.domain_owner("m2m-rubicon-gone") is None
    assert secrets_of(cloud, stack_id) == []
    assert "DeletedDate" in cloud.client("secretsmanager").describe_secret(SecretId=outputs["ClientSecretArn"])
    status, answer = request_token(secret)
    assert (status, answer["error"]) == (400, "invalid_client")


def test_a_stack_can_be_deployed_again_while_the_name_of_its_secret_is_still_reserved(cloud, stacks):
    stack = stacks("again")
    assert stack.deploy() == "CREATE_COMPLETE"
    old = stack.secret()
    assert stack.delete() == "DELETE_COMPLETE"
    assert stack.deploy() == "CREATE_COMPLETE"
    new = stack.secret()
    assert new["user_pool_id"] != old["user_pool_id"]
    assert claims_of(new)["client_id"] == new["client_id"] != old["client_id"]
    [name] = secrets_of(cloud, stack.description["StackId"])
    assert name == "machine-to-machine-again/machine-to-machine-again-client"


def test_a_secret_without_a_recovery_window_is_deleted_at_once(cloud, stacks):
    stack = stacks("atonce")
    assert stack.deploy(SecretRecoveryWindowInDays=0) == "CREATE_COMPLETE"
    arn = stack.outputs["ClientSecretArn"]
    assert stack.delete() == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloud.client("secretsmanager").describe_secret(SecretId=arn)


def test_two_stacks_side_by_side_do_not_touch_each_other(cloud, stacks):
    left, right = stacks("left"), stacks("right")
    threads = [threading.Thread(target=stack.deploy) for stack in (left, right)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (left.status, right.status) == ("CREATE_COMPLETE", "CREATE_COMPLETE")
    assert left.outputs["UserPoolId"] != right.outputs["UserPoolId"]
    secret = right.secret()
    assert left.delete() == "DELETE_COMPLETE"
    assert claims_of(secret)["client_id"] == right.outputs["ClientId"]


def test_a_domain_that_is_taken_fails_the_stack_and_stays_with_its_owner(cloud, provider, stacks):
    cognito = cloud.client("cognito-idp")
    theirs = cognito.create_user_pool(PoolName="theirs")["UserPool"]["Id"]
    cognito.create_user_pool_domain(UserPoolId=theirs, Domain="m2m-rubicon-taken")
    try:
        stack = stacks("taken")
        assert stack.deploy() == "ROLLBACK_COMPLETE"
        [reason] = stack.failures("M2M")
        assert "m2m-rubicon-taken" in reason
        stack_id = stack.description["StackId"]
        [answer] = provider.send(provider.event("Delete", stack_id, {"EnvironmentName": "taken"}, "taken-M2M-1ABCDEFG"))
        assert answer["Status"] == "SUCCESS", answer.get("Reason")
        assert pools_of(cloud, stack_id) == []
        assert secrets_of(cloud, stack_id) == []
        assert cloud.domain_owner("m2m-rubicon-taken") == theirs
    finally:
        cognito.delete_user_pool_domain(UserPoolId=theirs, Domain="m2m-rubicon-taken")
        cognito.delete_user_pool(UserPoolId=theirs)


def test_a_secret_of_somebody_else_is_never_taken_over(cloud, provider, stacks):
    manager = cloud.client("secretsmanager")
    arn = manager.create_secret(Name="machine-to-machine-foreign/worker", SecretString="theirs")["ARN"]
    try:
        stack = stacks("foreign")
        assert stack.deploy(Clients=[{"ClientName": "worker"}]) == "ROLLBACK_COMPLETE"
        [reason] = stack.failures("M2M")
        assert "machine-to-machine-foreign/worker" in reason
        stack_id = stack.description["StackId"]
        properties = {"EnvironmentName": "foreign", "Clients": [{"ClientName": "worker"}]}
        [answer] = provider.send(provider.event("Delete", stack_id, properties, "foreign-M2M-1ABCDEFG"))
        assert answer["Status"] == "SUCCESS", answer.get("Reason")
        assert manager.get_secret_value(SecretId=arn)["SecretString"] == "theirs"
        assert pools_of(cloud, stack_id) == []
    finally:
        manager.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)


def test_a_protected_pool_is_not_deleted_and_nothing_else_is_either(cloud, stacks):
    stack = stacks("protected")
    assert stack.deploy(DeletionProtection="ACTIVE") == "CREATE_COMPLETE"
    outputs, secret = stack.outputs, stack.secret()
    assert stack.delete() == "DELETE_FAILED"
    assert "DeletionProtection" in stack.failures("M2M")[-1]
    assert claims_of(secret)["client_id"] == outputs["ClientId"]
    assert cloud.domain_owner("m2m-rubicon-protected") == outputs["UserPoolId"]

    cognito = cloud.client("cognito-idp")
    cognito.update_user_pool(UserPoolId=outputs["UserPoolId"], DeletionProtection="INACTIVE")
    assert stack.delete() == "DELETE_COMPLETE"


def test_another_team_uses_the_exported_provider_for_three_clients(cloud, platform):
    stack = Stack(cloud, "consumer")
    template = (ROOT / "examples" / "consumer.yaml").read_text()
    assert stack.deploy(template, {"ProviderStackName": "platform"}) == "CREATE_COMPLETE"
    try:
        expected = {
            "WebShopSecretArn": ({"orders/read", "orders/write"}, 120),
            "BillingSecretArn": ({"orders/read", "invoices/read", "invoices/issue"}, 60),
            "ReportingSecretArn": ({"orders/read", "invoices/read"}, 5),
        }
        secrets = {output: cloud.secret(stack.outputs[output])[0] for output in expected}
        for output, (scopes, minutes) in expected.items():
            claims = claims_of(secrets[output])
            assert scopes_of(claims) == scopes
            assert claims["exp"] - claims["iat"] == minutes * 60
        status, answer = request_token(secrets["ReportingSecretArn"], scope="orders/write")
        assert status == 400, answer
        assert stack.outputs["ClientIds"].split(",") == [secret["client_id"] for secret in secrets.values()]
        parameter = cloud.client("ssm").get_parameter(Name=stack.outputs["ReportingClientIdParameter"])["Parameter"]
        assert parameter["Value"] == secrets["ReportingSecretArn"]["client_id"]
    finally:
        assert stack.delete() == "DELETE_COMPLETE"


def test_an_event_is_answered_once_in_the_form_that_cloudformation_wants(provider):
    stack_id = "arn:aws:cloudformation:us-east-1:000000000000:stack/answer/6c2ce4c0-0000-11f0-8000-0a0000000002"
    event = provider.event("Create", stack_id, {"UserPoolTier": "GOLD"})
    [answer] = provider.send(event)
    assert answer["Status"] == "FAILED"
    assert "UserPoolTier" in answer["Reason"]
    assert answer["PhysicalResourceId"]
    assert answer["size"] <= 4096
    assert not answer["headers"].get("Content-Type")
    for name in ("StackId", "RequestId", "LogicalResourceId"):
        assert answer[name] == event[name]


def test_an_event_of_an_unknown_type_is_answered_too(provider):
    stack_id = "arn:aws:cloudformation:us-east-1:000000000000:stack/answer/6c2ce4c0-0000-11f0-8000-0a0000000003"
    [answer] = provider.send(provider.event("Refresh", stack_id, {}, physical_id="somewhere"))
    assert answer["Status"] == "FAILED"
    assert "Refresh" in answer["Reason"]
    assert answer["PhysicalResourceId"] == "somewhere"


def test_the_log_tells_of_every_event_in_json_and_holds_no_secret_and_no_presigned_url(cloud, provider, stacks):
    stack = stacks("logged")
    assert stack.deploy() == "CREATE_COMPLETE"
    stack_id = "arn:aws:cloudformation:us-east-1:000000000000:stack/logged/6c2ce4c0-0000-11f0-8000-0a0000000004"
    query = "?X-Amz-Expires=7200&X-Amz-Signature=5ec4e7"
    event = provider.event("Delete", stack_id, {}, physical_id="never-made", query=query)
    [answer] = provider.send(event)
    assert answer["Status"] == "SUCCESS", answer.get("Reason")

    log = provider.log()
    text = "\n".join(log)
    assert "X-Amz" not in text and "5ec4e7" not in text
    # All the secrets of the session: those of the stacks that are still there are enough to catch a careless line.
    manager = cloud.client("secretsmanager")
    live = [secret["ARN"] for secret in manager.list_secrets()["SecretList"]]
    assert live
    for arn in live:
        assert cloud.secret(arn)[0]["client_secret"] not in text

    # MiniStack frames each invocation with lines of its own, as Lambda does with its text format.
    lines = [json.loads(line) for line in log if not line.startswith(("START ", "END ", "REPORT "))]
    about = [line for line in lines if event["RequestId"] in json.dumps(line)]
    assert any("Delete" in json.dumps(line) and stack_id in json.dumps(line) for line in about), about
