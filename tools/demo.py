"""`make demo`: the whole life of a machine-to-machine stack in a local AWS, checked at every step.

KEEP=1 leaves the local AWS running, with every stack deployed.
"""

import json
import os
import sys
import time
import uuid

from cloud import REGION, ROOT, Cloud, CloudError, Stack, request_token, stop_on_signals, verified_claims

PROVIDER_STACK = "cognito-m2m-local"
CONSUMER_STACK = "orders"
PLATFORM_STACK = "m2m-platform"
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


def deploy_example(cloud, name, file, logical_id, **parameters):
    stack = Stack(cloud, name)
    template = (ROOT / "examples" / file).read_text()
    status = stack.deploy(template, {"ProviderStackName": PROVIDER_STACK, **parameters})
    if status != "CREATE_COMPLETE":
        raise CloudError(f"the stack {name} ended in {status}: {'; '.join(stack.failures(logical_id))}")
    return stack


def show_consumer(cloud):
    step("Deploy examples/consumer.yaml: another team, two resource servers, three clients")
    stack = deploy_example(cloud, CONSUMER_STACK, "consumer.yaml", "Auth", EnvironmentName=ENVIRONMENT)
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


def show_teams(cloud):
    step("Deploy examples/platform: a user pool that the stacks of other teams may add to")
    platform = deploy_example(cloud, PLATFORM_STACK, "platform/template.yaml", "Pool", EnvironmentName=ENVIRONMENT)
    table(platform.outputs)

    step("Two teams join: examples/api-team adds the scopes of its API, examples/consumer-team its client")
    pool = {"PlatformStackName": PLATFORM_STACK}
    api = deploy_example(cloud, "orders-api", "api-team/template.yaml", "Orders", **pool)
    shop = deploy_example(cloud, "web-shop", "consumer-team/template.yaml", "Checkout", **pool)
    table(shop.outputs)
    secret, _ = cloud.secret(shop.outputs["ClientSecretArn"])
    claims = claims_of(secret)
    check(set(claims["scope"].split()) == set(api.outputs["Scopes"].split()), "the client's token has the API's scopes")
    check(claims["iss"] == platform.outputs["Issuer"], "and the shared pool issued it")
    template = (ROOT / "examples" / "api-team" / "template.yaml").read_text()
    without_write = "".join(line for line in template.splitlines(keepends=True) if "ScopeName: write" not in line)
    status = api.deploy(without_write, {"ProviderStackName": PROVIDER_STACK, **pool})
    check(status == "UPDATE_ROLLBACK_COMPLETE", "the API's team cannot remove a scope that the client has:")
    say(f"    {api.failures('Orders')[-1]}")
    check(claims_of(secret)["scope"] == claims["scope"], "and the client still gets both")
    return [shop, api, platform], secret


def show_deletion(cloud, stacks, secrets):
    step("Delete every stack, those that use another one first")
    for stack in stacks:
        status = stack.delete()
        check(status == "DELETE_COMPLETE", f"{stack.name}: {status}")
    check(cloud.leftovers() == [], "no user pool and no live secret is left")
    for domain in (f"m2m-rubicon-{ENVIRONMENT}", f"orders-m2m-{ENVIRONMENT}", f"m2m-platform-{ENVIRONMENT}"):
        check(cloud.domain_owner(domain) is None, f"the domain {domain} is free again")
    answers = {request_token(secret)[1].get("error") for secret in secrets}
    check(answers == {"invalid_client"}, f"none of the {len(secrets)} clients gets a token any more")


def explain(cloud, stack, stacks):
    pid = cloud.process.pid
    print(f"""
The local AWS is still running, with the stacks {", ".join(stacks)}. To use it:

    export AWS_ENDPOINT_URL={cloud.endpoint} AWS_DEFAULT_REGION={REGION}
    export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test SAM_CLI_TELEMETRY=0
    .tools/sam/bin/sam list stack-outputs --stack-name {PROVIDER_STACK}
    .tools/sam/bin/sam deploy --config-env local --parameter-overrides EnvironmentName={ENVIRONMENT} LocalCloud=true ProjectTag=mine
    aws secretsmanager get-secret-value --secret-id {stack.outputs["ClientSecretArn"]} --query SecretString --output text |
      jq -r '"user = \\"\\(.client_id):\\(.client_secret)\\"\\nurl = \\"\\(.token_endpoint)\\""' |
      curl --silent --fail-with-body --config - --data grant_type=client_credentials

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
            teams, team_secret = show_teams(cloud)
            stacks = [consumer, *teams, stack]
            if keep:
                explain(cloud, stack, [stack.name for stack in stacks])
                return 0
            show_deletion(cloud, stacks, [secret, *consumer_secrets, team_secret])
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
