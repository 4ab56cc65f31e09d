"""A local AWS on a free port, for the demo and the end-to-end tests.

MiniStack plays AWS with signatures and IAM policies enforced (AUTH=true). Nothing here can reach a real
account: every process gets an environment without the caller's AWS settings, with invented credentials and
with this machine as its only endpoint.
"""

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import NamedTuple

import boto3
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
BUILD = ROOT / ".aws-sam" / "build"
REGION = "us-east-1"
# MiniStack takes this key for the account's root and asks for no signature by it. Every other key, such as
# those of the provider's role, has to sign its requests and to hold the permissions.
ROOT_KEY = "test"
POLL_SECONDS = 0.1  # short, because everything is on this machine
COMMAND_SECONDS = 300  # more than the slowest command takes, a deployment by sam
# What a failed command may not show: tokens (JWTs), and client secrets in JSON.
TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
CLIENT_SECRET = re.compile(r"(client_?secret\W+)[\w+]{24,}", re.IGNORECASE)


class CloudError(Exception):
    """Something was not as it should be; the message is for the person at the terminal."""


def stop_on_signals():
    """Turns SIGTERM and SIGHUP into what Ctrl-C does, so that `finally` blocks run and nothing stays behind."""

    def interrupt(signum, _frame):
        raise KeyboardInterrupt(signal.Signals(signum).name)

    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, interrupt)


def wait_for(condition, what, seconds):
    """The first true value that `condition` returns within so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise CloudError(f"waited {seconds} s for {what}")
        time.sleep(POLL_SECONDS)


class Output(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


class Cloud:
    """MiniStack, running inside a `with` block. With `keep` it survives a block that ends well."""

    def __init__(self, keep=False):
        self.keep = keep
        self.process = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, _value, _traceback):
        if kind is None and self.keep:
            return
        self.stop()

    def _start(self):
        runs = TOOLS / "run"
        runs.mkdir(parents=True, exist_ok=True)
        self.directory = Path(tempfile.mkdtemp(prefix="cloud-", dir=runs))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = self.directory / "ministack.log"
        # MiniStack reads many variables; it gets only those that are meant for it. Its Lambda functions inherit
        # them, which is how the provider finds the endpoint.
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            **self._aws_settings(),
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "AUTH": "true",
            "CLOUDTRAIL_RECORDING": "1",
            "TMPDIR": str(self.directory),
            # Two listeners on fixed ports, which two clouds side by side would fight for.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [TOOLS / "cloud" / "bin" / "ministack"],
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own, so that `stop` reaches the functions that MiniStack starts, and Ctrl-C
                # reaches MiniStack only through `stop`.
                start_new_session=True,
            )
        wait_for(self._is_healthy, "MiniStack to start", 60)

    def _is_healthy(self):
        if self.process.poll() is not None:
            raise CloudError(f"MiniStack did not start; the end of its log:\n{self.log.read_text()[-2000:]}")
        with contextlib.suppress(OSError):
            return http("GET", f"{self.endpoint}/_ministack/health")[0] == 200
        return False

    def _aws_settings(self):
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def stop(self):
        """Stops MiniStack and all that it started. May be called twice."""
        if self.process is None:
            return
        process, self.process = self.process, None
        # A second Ctrl-C must not keep this from being done; it takes two seconds at most.
        handlers = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            for signum, seconds in ((signal.SIGTERM, 1), (signal.SIGKILL, 1)):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signum)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
            shutil.rmtree(self.directory, ignore_errors=True)
        finally:
            for signum, handler in handlers.items():
                signal.signal(signum, handler)

    @property
    def environment(self):
        """What a command needs to work in this cloud."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **inherited,
            **self._aws_settings(),
            "PATH": f"{TOOLS / 'sam' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": str(POLL_SECONDS),
        }

    def run(self, *command, folder=ROOT, stdin="", seconds=COMMAND_SECONDS, **environment):
        """Runs a command in this cloud. A variable of None is taken out of its environment."""
        variables = {name: value for name, value in {**self.environment, **environment}.items() if value is not None}
        result = subprocess.run(
            command, cwd=folder, env=variables, input=stdin, capture_output=True, text=True, timeout=seconds
        )
        return Output(result.returncode, result.stdout, result.stderr)

    def must_run(self, *command, **options):
        """Runs a command that has to succeed, with the options of `run`. Returns what it printed to stdout."""
        code, out, err = self.run(*command, **options)
        if code != 0:
            raise CloudError(without_secrets(f"{' '.join(map(str, command))} failed with {code}:\n{out}{err}"))
        return out

    def sam_deploy(self, stack, *arguments, parameters=None):
        """Deploys what `sam build` has built with the real `sam deploy`. Returns the stack."""
        command = [TOOLS / "sam" / "bin" / "sam", "deploy", "--config-env", "local", "--stack-name", stack, *arguments]
        if parameters:
            # They take the place of those in samconfig.toml, this one included.
            overrides = {"LocalCloud": "true", **parameters}
            command += ["--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())]
        self.must_run(*command)
        return Stack(self, stack)

    def client(self, service):
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ROOT_KEY,
            aws_secret_access_key=ROOT_KEY,
        )

    def secret(self, arn):
        """The secret's value as a dictionary, and the id of the version."""
        answer = self.client("secretsmanager").get_secret_value(SecretId=arn)
        return json.loads(answer["SecretString"]), answer["VersionId"]

    def calls_of_the_provider(self, since):
        """The API calls made since that time with anything but the root key, oldest first: service:Operation.
        MiniStack answers with 50 at most."""
        events = self.client("cloudtrail").lookup_events(MaxResults=50)["Events"]
        records = [json.loads(e["CloudTrailEvent"]) for e in reversed(events) if e["EventTime"].timestamp() > since]
        return [
            f"{record['eventSource'].split('.')[0]}:{record['eventName']}"
            for record in records
            if record["userIdentity"]["accessKeyId"] != ROOT_KEY
        ]

    def log_of(self, group):
        """Every line that a function has logged."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def leftovers(self):
        """What a cloud without any stack should not hold: pools, live secrets."""
        pools = self.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
        secrets = self.client("secretsmanager").list_secrets()["SecretList"]
        return [f"user pool {pool['Name']}" for pool in pools] + [f"secret {secret['Name']}" for secret in secrets]

    def domain_owner(self, domain):
        """The id of the user pool that has the domain prefix, or None."""
        description = self.client("cognito-idp").describe_user_pool_domain(Domain=domain)["DomainDescription"]
        return description.get("UserPoolId")


class Stack:
    """A CloudFormation stack in the local cloud."""

    def __init__(self, cloud, name):
        self.name = name
        self.cloudformation = cloud.client("cloudformation")

    def deploy(self, template, parameters=None):
        """Creates or updates the stack, and waits. Returns the status it ends in, good or bad."""
        arguments = {
            "StackName": self.name,
            "TemplateBody": template if isinstance(template, str) else json.dumps(template),
            "Parameters": [{"ParameterKey": k, "ParameterValue": v} for k, v in (parameters or {}).items()],
            "Capabilities": ["CAPABILITY_IAM"],
        }
        if self.status is None:
            self.cloudformation.create_stack(**arguments)
        else:
            self.cloudformation.update_stack(**arguments)
        return self._settled()

    def delete(self):
        self.cloudformation.delete_stack(StackName=self.name)
        return self._settled()

    def _settled(self):
        def final():
            status = self.status or "DELETE_COMPLETE"
            return None if status.endswith("_IN_PROGRESS") else status

        return wait_for(final, f"the stack {self.name} to settle", 180)

    @property
    def description(self):
        """What DescribeStacks says, or None where there is no such stack (any more)."""
        try:
            description = self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if description["StackStatus"] == "DELETE_COMPLETE" else description

    @property
    def status(self):
        description = self.description
        return description and description["StackStatus"]

    @property
    def outputs(self):
        return {o["OutputKey"]: o["OutputValue"] for o in self.description.get("Outputs", [])}

    def physical_id(self, logical_id):
        detail = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return detail["StackResourceDetail"]["PhysicalResourceId"]

    def failures(self, logical_id):
        """The reasons that a resource has failed with, oldest first."""
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        return [
            event["ResourceStatusReason"]
            for event in reversed(events)
            if event["LogicalResourceId"] == logical_id and event["ResourceStatus"].endswith("_FAILED")
        ]


def without_secrets(text):
    """The text without tokens and client secrets."""
    return CLIENT_SECRET.sub(r"\1***", TOKEN.sub("***", text))


def http(method, url, data=None, headers=None):
    """The status and the body of an HTTP request to this machine."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def request_token(secret, scope=None):
    """Asks the token endpoint in a secret for a token, as a consumer would: (status, answer)."""
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    credentials = base64.b64encode(f"{secret['client_id']}:{secret['client_secret']}".encode()).decode()
    status, body = http(
        "POST",
        secret["token_endpoint"],
        urllib.parse.urlencode(form).encode(),
        {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
    )
    return status, json.loads(body)


def verified_claims(secret, token):
    """The claims of an access token, after a check of its signature with the keys at jwks_uri."""
    header, payload, signature = (_base64url(part) for part in token.split("."))
    keys = json.loads(http("GET", secret["jwks_uri"])[1])["keys"]
    key = next(key for key in keys if key["kid"] == json.loads(header)["kid"])
    exponent, modulus = (int.from_bytes(_base64url(key[part])) for part in ("e", "n"))
    signed = token.rpartition(".")[0].encode()
    rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(signature, signed, padding.PKCS1v15(), SHA256())
    return json.loads(payload)


def _base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
