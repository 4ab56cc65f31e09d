"""`make demo`: the whole life of a machine-to-machine stack in a local AWS, checked at every step.

KEEP=1 leaves the local AWS running, with both stacks deployed.
"""

import json
import os
import sys
import time
import uuid

from cloud import REGION, ROOT, Cloud, CloudError, Stack, request_token, stop_on_signals, verified_claims

PROVIDER_STACK = "cognito-m2m-local"
CONSUMER_STACK = "orders"
ENVIRONMENT = "local"


def step(text):
    step.number += 1
    print(f"\n[{step.number}] {text}", flush=True)


step.number = 0


def say(text):
    print(f"    {text}", flush=True)


def check(condition, text):
    if not condition:
        raise CloudError(f"not as it should be: {text}")
    say(f"ok: {text}")


def table(values):
    width = max(len(name) for name in values)
    for name, value in values.items():
        say(f"{name:<{width}}  {value}")


def deploy_provider(cloud, **parameters):
    parameters = {"EnvironmentName": ENVIRONMENT, "LocalCloud": "true", **parameters}
    overrides = " ".join(f"{name}={value}" for name, value in parameters.items())
    say(f"sam deploy --config-env local --parameter-overrides {overrides}")
    started = time.monotonic()
    stack = cloud.sam_deploy(PROVIDER_STACK, parameters=parameters)
    say(f"{stack.status} after {time.monotonic() - started:.0f} s")
    return stack


def claims_of(secret):
    status, answer = request_token(secret)
    if status != 200:
        raise CloudError(f"the token endpoint answered {status}: {answer}")
    return verified_claims(secret, answer["access_token"])


def minutes(claims):
    return (claims["exp"] - claims["iat"]) // 60


def show_stack(cloud):
    step("Deploy template.yaml: the provider, and one stack made with it")
    stack = deploy_provider(cloud)
    table(stack.outputs)

    step("Read the client's secret from Secrets Manager")
    secret, version = cloud.secret(stack.outputs["ClientSecretArn"])
    hidden = f"*** ({len(secret['client_secret'])} characters)"
    table({**secret, "client_secret": hidden})

    step("Get a token from the token endpoint, as a service would")
    claims = claims_of(secret)
    for line in json.dumps(claims, indent=2).splitlines():
        say(line)
    check(set(claims["scope"].split()) == {"m2m-client/read", "m2m-client/write"}, "the token has both scopes")
    check(claims["iss"] == stack.outputs["Issuer"], "its issuer is the user pool, and its signature is good")
    check(minutes(claims) == 60, "it is valid for 60 minutes")

    step("Deploy again with AccessTokenValidityMinutes=15")
    before = stack.outputs
    stack = deploy_provider(cloud, AccessTokenValidityMinutes=15)
    changed = claims_of(secret)
    say(f"changed: tokens are valid for {minutes(changed)} minutes, before {minutes(claims)}")
    check(minutes(changed) == 15, "new tokens have the new validity")
    check(stack.outputs["UserPoolId"] == before["UserPoolId"], f"the user pool is still {before['UserPoolId']}")
    check(stack.outputs["ClientId"] == before["ClientId"], f"the client is still {before['ClientId']}")
    check(cloud.secret(before["ClientSecretArn"]) == (secret, version), "the secret is the same, to the version")
    return stack, secret


def rotation_step(cloud, function, name, secret, token):
    """Calls the rotation function as Secrets Manager does. Returns its error, or None."""
    event = {"Step": name, "SecretId": secret, "ClientRequestToken": token}
    answer = cloud.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    said = json.loads(answer["Payload"].read() or b"null")
    return said["errorMessage"] if answer.get("FunctionError") else None


def show_rotation(cloud, secret):
    step("Deploy again with RotationDays=30: a new secret for the client every 30 days")
    stack = deploy_provider(cloud, AccessTokenValidityMinutes=15, RotationDays=30)
    arn, function = stack.outputs["ClientSecretArn"], stack.physical_id("RotationFunction")
    manager = cloud.client("secretsmanager")
    described = manager.describe_secret(SecretId=arn)
    table({name: described[name] for name in ("RotationEnabled", "RotationLambdaARN", "RotationRules")})
    check(described["RotationEnabled"], "rotation is on")
    check(described["RotationRules"] == {"AutomaticallyAfterDays": 30}, "the schedule is 30 days")
    check(described["RotationLambdaARN"].endswith(f":function:{function}"), f"by the function {function}")
    check(cloud.secret(arn)[0] == secret, "turning it on has not rotated: the secret's value is the same")

    step("Call the rotation function as Secrets Manager does to try a new schedule out")
    token = str(uuid.uuid4())
    manager.put_secret_value(
        SecretId=arn, SecretString=json.dumps(secret), ClientRequestToken=token, VersionStages=["AWSPENDING"]
    )
    check(rotation_step(cloud, function, "testSecret", arn, token) is None, "testSecret got a token and checked it")
    manager.update_secret_version_stage(SecretId=arn, VersionStage="AWSPENDING", RemoveFromVersionId=token)
    error = rotation_step(cloud, function, "setSecret", arn, str(uuid.uuid4()))
    check(error is not None, "a step for a version that is not staged is an error and changes nothing:")
    say(f"    {error}")
    say("NOT SHOWN: a new client secret. This local AWS has none of Cognito's calls for a second secret, and its")
    say("    RotateSecret does not call the function. `make test` proves the four steps instead: against an AWS in")
    say("    memory, with every call failed, lost and crashed while consumers ask for tokens all the time; and the")
    say("    function's own binary against a local HTTP server.")
    return stack


def show_consumer(cloud):
    step("Deploy examples/consumer.yaml: another team, two resource servers, three clients")
    stack = Stack(cloud, CONSUMER_STACK)
    template = (ROOT / "examples" / "consumer.yaml").read_text()
    parameters = {"ProviderStackName": PROVIDER_STACK, "EnvironmentName": ENVIRONMENT}
    status = stack.deploy(template, parameters)
    if status != "CREATE_COMPLETE":
        raise CloudError(f"the stack ended in {status}: {'; '.join(stack.failures('Auth'))}")
    table(stack.outputs)
    secrets = []
    expected = {
        "WebShopSecretArn": ("orders/read orders/write", 120),
        "BillingSecretArn": ("invoices/issue invoices/read orders/read", 60),
        "ReportingSecretArn": ("invoices/read orders/read", 5),
    }
    for output, (scopes, validity) in expected.items():
        secret, _ = cloud.secret(stack.outputs[output])
        claims = claims_of(secret)
        got = " ".join(sorted(claims["scope"].split()))
        check((got, minutes(claims)) == (scopes, validity), f"{secret['client_name']}: {scopes}, {validity} minutes")
        secrets.append(secret)
    parameter = cloud.client("ssm").get_parameter(Name=stack.outputs["ReportingClientIdParameter"])["Parameter"]
    check(parameter["Value"] == secret["client_id"], "the dynamic reference gave the reporting job its client_id")
    return stack, secrets


def show_deletion(cloud, stacks, secrets):
    step("Delete both stacks")
    for stack in stacks:
        status = stack.delete()
        check(status == "DELETE_COMPLETE", f"{stack.name}: {status}")
    check(cloud.leftovers() == [], "no user pool and no live secret is left")
    for domain in (f"m2m-rubicon-{ENVIRONMENT}", f"orders-m2m-{ENVIRONMENT}"):
        check(cloud.domain_owner(domain) is None, f"the domain {domain} is free again")
    answers = {request_token(secret)[1].get("error") for secret in secrets}
    check(answers == {"invalid_client"}, f"none of the {len(secrets)} clients gets a token any more")


def explain(cloud, stack):
    pid = cloud.process.pid
    print(f"""
The local AWS is still running, with the stacks {PROVIDER_STACK} and {CONSUMER_STACK}. To use it:

    export AWS_ENDPOINT_URL={cloud.endpoint} AWS_DEFAULT_REGION={REGION}
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test SAM_CLI_TELEMETRY=0
    .tools/sam/bin/sam list stack-outputs --stack-name {PROVIDER_STACK}
    .tools/sam/bin/sam deploy --config-env local --parameter-overrides EnvironmentName={ENVIRONMENT} LocalCloud=true ProjectTag=mine
    aws secretsmanager get-secret-value --secret-id {stack.outputs["ClientSecretArn"]}
    curl --user "$CLIENT_ID:$CLIENT_SECRET" --data grant_type=client_credentials {stack.outputs["TokenEndpoint"]}

Its log is {cloud.log.relative_to(ROOT)}. To stop it:

    kill -- -{pid} && rm -r {cloud.directory.relative_to(ROOT)}
""")


def main():
    stop_on_signals()
    keep = os.environ.get("KEEP", "") not in ("", "0")
    started = time.monotonic()
    try:
        step("Start a local AWS (MiniStack, with signatures and IAM policies enforced)")
        with Cloud(keep=keep) as cloud:
            say(f"it listens at {cloud.endpoint}")
            check(cloud.leftovers() == [], "there is no user pool and no secret yet")
            stack, secret = show_stack(cloud)
            stack = show_rotation(cloud, secret)
            consumer, consumer_secrets = show_consumer(cloud)
            if keep:
                explain(cloud, stack)
                return 0
            show_deletion(cloud, [consumer, stack], [secret, *consumer_secrets])
    except CloudError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the local AWS is stopped.", file=sys.stderr)
        return 130
    print(f"\nThe demo is done, everything was as it should be ({time.monotonic() - started:.0f} s).")
    return 0


if __name__ == "__main__":
    sys.exit(main())
