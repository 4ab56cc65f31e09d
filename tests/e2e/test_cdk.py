"""The packed CDK library by the real CDK command line.

The examples install the packed files. They are checked, deployed, changed in place and destroyed, in each language. Then
a new project in an empty folder, again in each language: install, five lines, deploy, and a token.

The languages run side by side, because most of this is waiting for processes to start.
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.exceptions import ClientError
from cloud import REGION, ROOT, TOOLS, Stack, request_token, verified_claims

EXAMPLES = ROOT / "examples"
DIST = ROOT / "cdk" / "dist"
NODE_MODULES = EXAMPLES / "cdk-typescript" / "node_modules"
# The library's two packages, and the packages that its users have: the CDK, from where the tools are.
PACKAGES = {"typescript": "js/*.tgz", "python": "python/cdk_cognito_m2m-*.whl"}
TYPESCRIPT = """\
import { App, CfnOutput, Stack } from 'aws-cdk-lib';
import { CognitoM2M } from 'cdk-cognito-m2m';
const stack = new Stack(new App(), 'first-typescript');
const auth = new CognitoM2M(stack, 'Auth', { domainPrefix: 'first-typescript' });
new CfnOutput(stack, 'SecretArn', { value: auth.client().secret.secretArn });
"""
PYTHON = """\
import aws_cdk as cdk
from cdk_cognito_m2m import CognitoM2M
stack = cdk.Stack(app := cdk.App(), "first-python")
auth = CognitoM2M(stack, "Auth", domain_prefix="first-python")
cdk.CfnOutput(stack, "SecretArn", value=auth.client().secret.secret_arn)
app.synth()
"""
# A synthesis that takes longer would be a nuisance.
SYNTH_SECONDS = 10
# Other tests run on the same machine.
ATTEMPTS = 3
STAGING_BUCKET = f"cdk-hnb659fds-assets-000000000000-{REGION}"
CHECKS = {
    "typescript": (["node_modules/.bin/tsc"], ["node", "--test"]),
    "python": (["python", "-m", "pytest", "-p", "no:cacheprovider", "-q"],),
}
LOCAL_CLOUD = "cognito-m2m:localCloud"
LANGUAGES = tuple(CHECKS)
# With the three clients of the app these are eleven: from there on the construct does without attributes for each.
PARTNERS = ("acme", "globex", "hooli", "initech", "soylent", "tyrell", "umbrella", "wonka")
# The command line looks every five seconds whether a stack is done, and has no option for that.
IMPATIENT = (
    "globalThis.setTimeout = Object.setPrototypeOf("
    "(original => (call, ms, ...rest) => original(call, ms === 5000 ? 100 : ms, ...rest))(setTimeout), setTimeout)"
)


def package(language):
    """The packed library for a language."""
    found = sorted(DIST.glob(PACKAGES[language]))
    assert len(found) == 1, f"not one package: {found}; run `make cdk` first, or `make test-e2e`, which does"
    return found[0]


class Example:
    """One of the two apps, and a folder for what it makes."""

    def __init__(self, cloud, scratch, language):
        self.cloud = cloud
        self.language = language
        self.scratch = scratch
        self.output = scratch / "cdk.out"
        self.venv = scratch / "venv"
        self.stack = Stack(cloud, f"orders-{language}")

    def run(self, *command, folder=None, **environment):
        variables = {
            # The Python of the example's own environment comes first.
            "PATH": os.pathsep.join(map(str, (self.venv / "bin", TOOLS / "cdk" / "bin", os.environ["PATH"]))),
            "NODE_COMPILE_CACHE": str(TOOLS / "cdk" / "compiled"),
            # Without the library, whose version does not change with its content.
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(self.scratch / "jsii"),
            "NPM_CONFIG_CACHE": str(TOOLS / "cdk" / "npm"),
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
        values = {"environmentName": self.language, "partners": ",".join(partners), LOCAL_CLOUD: "true"}
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


def install(example):
    """Installs the packed library beside the CDK, which is there already."""
    if example.language == "typescript":
        options = ("--no-save", "--no-package-lock", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
        example.run("npm", "install", *options, package("typescript"))
        return
    example.run(sys.executable, "-m", "venv", example.venv, "--without-pip")
    site = next(example.venv.glob("lib/python*/site-packages"))
    tools = next((TOOLS / "cdk").glob("lib/python*/site-packages"))
    (site / "tools.pth").write_text(f"{tools}\n")
    # Without an index: what the wheel requires is there, or this fails.
    example.run("python", "-m", "pip", "install", "--quiet", "--no-index", package("python"))


def start_in_an_empty_folder(example):
    """What somebody does who tries the library: the packed file, Node, the CDK, five lines."""
    folder = example.scratch / "first"
    folder.mkdir()
    if example.language == "typescript":
        example.run("npm", "init", "--yes", folder=folder)
        # The CDK from where it is installed for the examples: the library has to fit what it finds.
        options = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
        versions = json.loads((EXAMPLES / "cdk-typescript" / "package.json").read_text())["dependencies"]
        cdk = [f"{name}@{versions[name]}" for name in ("aws-cdk-lib", "constructs")]
        example.run("npm", "install", *options, package("typescript"), *cdk, folder=folder)
        (folder / "app.mts").write_text(TYPESCRIPT)
        app = "node app.mts"
    else:
        (folder / "app.py").write_text(PYTHON)
        app = "python app.py"
    output = folder / "cdk.out"
    local = ("--context", f"{LOCAL_CLOUD}=true")
    example.cdk("deploy", "--app", app, "--output", output, *local, folder=folder)
    stack = Stack(example.cloud, f"first-{example.language}")
    secret = example.cloud.secret(stack.outputs["SecretArn"])[0]
    assert scopes_of_a_token(secret) == {"m2m-client/read", "m2m-client/write"}
    example.cdk("destroy", "--force", "--app", output, folder=folder)
    assert stack.status is None


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
def examples(cloud, tmp_path_factory):
    if not (TOOLS / "cdk" / "bin" / "node").exists() or not NODE_MODULES.exists():
        pytest.fail("there is no CDK: run `tools/install cdk` first, or `make test-e2e`, which does")
    return {language: Example(cloud, tmp_path_factory.mktemp(language), language) for language in LANGUAGES}


@pytest.fixture(scope="module")
def work(cloud, examples):
    """All that there is to do, under way: by what is done and the language."""
    examples = list(examples.values())
    with ThreadPoolExecutor() as pool:
        list(pool.map(install, examples))
        under_way = {(check, example.language): pool.submit(check, example) for example in examples}
        examples[0].bootstrap()
        for task in (live, start_in_an_empty_folder):
            under_way |= {(task, example.language): pool.submit(task, example) for example in examples}
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_five_lines_in_an_empty_folder_deploy_a_client_that_gets_a_token(work, language):
    work[start_in_an_empty_folder, language].result()


def seconds_of_a_synthesis(example):
    started = time.monotonic()
    example.cdk("synth", "--quiet", "--output", example.scratch / "timed")
    return time.monotonic() - started


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_example_is_synthesized_fast(work, examples, language):
    # Alone, so that nothing else of this file is measured.
    for task in work.values():
        task.exception()
    assert any(seconds_of_a_synthesis(examples[language]) < SYNTH_SECONDS for _ in range(ATTEMPTS))
