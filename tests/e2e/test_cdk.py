"""The CDK examples by the real CDK command line: checked, deployed, changed in place and destroyed, in each language.

The languages run side by side, because most of this is waiting for processes to start.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError
from cloud import REGION, ROOT, TOOLS, Stack, request_token, verified_claims

EXAMPLES = ROOT / "examples"
NODE_MODULES = EXAMPLES / "cdk-typescript" / "node_modules"
STAGING_BUCKET = f"cdk-hnb659fds-assets-000000000000-{REGION}"
CHECKS = {
    "typescript": (["node_modules/.bin/tsc"], ["node", "--test"]),
    "python": (["python", "-m", "pytest", "-p", "no:cacheprovider", "-q"],),
}
LANGUAGES = tuple(CHECKS)
# With the three clients of the app these are eleven: from there on the construct does without attributes for each.
PARTNERS = ("acme", "globex", "hooli", "initech", "soylent", "tyrell", "umbrella", "wonka")
# The command line looks every five seconds whether a stack is done, and has no option for that.
IMPATIENT = (
    "globalThis.setTimeout = Object.setPrototypeOf("
    "(original => (call, ms, ...rest) => original(call, ms === 5000 ? 100 : ms, ...rest))(setTimeout), setTimeout)"
)


class Example:
    """One of the two apps, and a folder for what it makes."""

    def __init__(self, cloud, scratch, language):
        self.cloud = cloud
        self.language = language
        self.scratch = scratch
        self.output = scratch / "cdk.out"
        self.stack = Stack(cloud, f"orders-{language}")

    def run(self, *command, folder=None, **environment):
        variables = {
            "PATH": f"{TOOLS / 'cdk' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "NODE_COMPILE_CACHE": str(TOOLS / "cdk" / "compiled"),
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(TOOLS / "cdk" / "jsii"),
            # A check against CloudFormation's schemas, which takes as long as all the rest of an app.
            "CDK_VALIDATION": "false",
            **environment,
        }
        self.cloud.must_run(*command, folder=folder or EXAMPLES / f"cdk-{self.language}", seconds=180, **variables)

    def cdk(self, *arguments, folder=None):
        self.run(
            NODE_MODULES / ".bin" / "cdk",
            *arguments,
            folder=folder,
            NODE_OPTIONS=f"--import=data:text/javascript,{IMPATIENT.replace(' ', '%20')}",
            # Options of the command line. Nothing is to leave this machine, or to be left in the user's home.
            CDK_HOME=str(self.scratch),
            CDK_NOTICES="false",
            CDK_VERSION_REPORTING="false",
            CDK_REQUIRE_APPROVAL="never",
            CDK_METHOD="direct",
        )

    def bootstrap(self):
        # In a folder without an app, which the command line would otherwise run, for nothing.
        self.cdk("bootstrap", f"aws://000000000000/{REGION}", folder=self.scratch)
        # The bucket refuses all that comes without TLS, which the local cloud does not have.
        self.cloud.client("s3").delete_bucket_policy(Bucket=STAGING_BUCKET)

    def deploy(self, partners=()):
        values = {"providerStackName": "platform", "environmentName": self.language, "partners": ",".join(partners)}
        context = [argument for name, value in values.items() for argument in ("--context", f"{name}={value}")]
        self.cdk("deploy", "--output", self.output, *context)

    def destroy(self):
        self.cdk("destroy", "--force", "--app", self.output)

    @property
    def template(self):
        """The template that was made last, without what the test says of the language in it."""
        text = (self.output / f"{self.stack.name}.template.json").read_text()
        return json.loads(text.replace(self.language, "language"))

    def secret(self, client):
        return self.cloud.secret(f"{self.stack.name}/{client}")[0]

    def parameter(self, name):
        return self.cloud.client("ssm").get_parameter(Name=f"/orders/{self.language}/{name}")["Parameter"]["Value"]

    def billing_can_read(self, client):
        """Whether the role of the app's billing service may read a client's secret."""
        sts = self.cloud.client("sts")
        role = sts.assume_role(RoleArn=self.stack.outputs["BillingRoleArn"], RoleSessionName="billing")["Credentials"]
        manager = boto3.client(
            "secretsmanager",
            endpoint_url=self.cloud.endpoint,
            region_name=REGION,
            aws_access_key_id=role["AccessKeyId"],
            aws_secret_access_key=role["SecretAccessKey"],
            aws_session_token=role["SessionToken"],
        )
        try:
            manager.get_secret_value(SecretId=f"{self.stack.name}/{client}")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AccessDeniedException", error
            return False
        return True


def scopes_of_a_token(secret):
    status, answer = request_token(secret)
    assert status == 200, answer
    claims = verified_claims(secret, answer["access_token"])
    assert claims["client_id"] == secret["client_id"]
    return set(claims["scope"].split())


def check(example):
    """What the example's README says to run after a change."""
    for command in CHECKS[example.language]:
        example.run(*command)


def live(example):
    """Deploys the app, changes it and destroys it. Returns the template that it was deployed with first."""
    example.deploy()
    template, outputs, billing = example.template, example.stack.outputs, example.secret("billing")
    assert scopes_of_a_token(billing) == {"orders/read", "invoices/read", "invoices/issue"}
    assert outputs["TokenEndpoint"] == billing["token_endpoint"]
    assert example.cloud.secret(outputs["BillingSecretArn"])[0] == billing
    assert example.parameter("issuer") == billing["issuer"]
    assert example.parameter("reporting/client-id") == example.secret("reporting")["client_id"]
    assert example.billing_can_read("billing") and not example.billing_can_read("web-shop")

    example.deploy(PARTNERS)
    assert scopes_of_a_token(example.secret("partner-wonka")) == {"orders/read"}
    assert example.stack.outputs["UserPoolId"] == outputs["UserPoolId"]
    assert example.secret("billing") == billing
    assert example.cloud.secret(example.stack.outputs["BillingSecretArn"])[0] == billing
    assert example.parameter("reporting/client-id") == example.secret("reporting")["client_id"]
    assert example.billing_can_read("billing") and not example.billing_can_read("web-shop")

    example.destroy()
    name = example.stack.name
    assert example.stack.status is None
    assert not [left for left in example.cloud.leftovers() if name in left]
    assert example.cloud.domain_owner(f"orders-m2m-{example.language}") is None
    parameters = example.cloud.client("ssm").describe_parameters()["Parameters"]
    assert not [p["Name"] for p in parameters if p["Name"].startswith(f"/orders/{example.language}/")]
    return template


@pytest.fixture(scope="module")
def work(cloud, provider, tmp_path_factory):
    """All that there is to do, under way: by what is done and the language."""
    if not (TOOLS / "cdk" / "bin" / "node").exists() or not NODE_MODULES.exists():
        pytest.fail("there is no CDK: run `tools/install cdk` first, or `make test-e2e`, which does")
    examples = [Example(cloud, tmp_path_factory.mktemp(language), language) for language in LANGUAGES]
    with ThreadPoolExecutor() as pool:
        under_way = {(check, example.language): pool.submit(check, example) for example in examples}
        examples[0].bootstrap()
        under_way |= {(live, example.language): pool.submit(live, example) for example in examples}
        yield under_way
    for stack in (*(example.stack for example in examples), Stack(cloud, "CDKToolkit")):
        if stack.status:
            stack.delete()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_passes_its_own_checks(work, language):
    work[check, language].result()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_app_is_deployed_and_changed_in_place_and_leaves_nothing(work, language):
    work[live, language].result()


def test_both_languages_make_the_same_template(work):
    typescript, python = (work[live, language].result() for language in LANGUAGES)
    assert typescript == python
