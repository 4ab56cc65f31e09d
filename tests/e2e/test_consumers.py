"""examples/consumers: every language's consumer goes through the same life, as the program that people copy.

One server of the test's own plays Secrets Manager, Cognito's token endpoint and the API that is called. It counts what
it is asked, and can rotate, move and revoke. The consumer's clock is moved by a small library that stands in
front of libc: an hour passes at once, in programs that know nothing of it.
"""

import base64
import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
import urllib.parse

import pytest
from cloud import REGION, ROOT, TOOLS
from wire import Server

CONSUMERS = ROOT / "examples" / "consumers"
LIFE = 3600  # of a token, in seconds
DAY = 24 * 60 * 60
SECRET = "orders-api-dev/reporting"

# Moves the wall clock by the seconds that stand in the file $CLOCK; the monotonic clock goes on as it is.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long offset(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("CLOCK"), "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (id == CLOCK_REALTIME) now->tv_sec += offset();
    return result;
}
/* What Node reads. */
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
"""

# Stands in for the AWS CLI: one call of one command, and no other.
AWS = """#!{python} -IS
import json, os, sys, urllib.request
assert sys.argv[1:4] == ["secretsmanager", "get-secret-value", "--secret-id"], sys.argv
assert sys.argv[5:] == ["--query", "SecretString", "--output", "text"], sys.argv
request = urllib.request.Request(
    os.environ["AWS_ENDPOINT_URL_SECRETS_MANAGER"],
    json.dumps({{"SecretId": sys.argv[4]}}).encode(),
    {{
        "X-Amz-Target": "secretsmanager.GetSecretValue",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request",
    }},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["SecretString"])
"""

# Writes down with what arguments a program is called, as the process list would show them.
WITNESS = """#!/usr/bin/env bash
printf '%s\\n' "$0 $*" >>"$ARGUMENTS"
exec {program} "$@"
"""


def node():
    """The pinned Node where it is installed, else the machine's."""
    pinned = TOOLS / "cdk" / "bin" / "node"
    return pinned if pinned.exists() else shutil.which("node")


def needed(what, where):
    return where or pytest.skip(f"there is no {what}")


def python_consumer(_):
    return [sys.executable, CONSUMERS / "python" / "consumer.py"]


def node_consumer(_):
    program = needed("node on the PATH", node())
    needed("examples/consumers/node/node_modules: run npm ci there", (CONSUMERS / "node" / "node_modules").exists())
    return [program, CONSUMERS / "node" / "consumer.mjs"]


def rust_consumer(_):
    program = ROOT / "target" / "debug" / "examples" / "consumer"
    needed("target/debug/examples/consumer: run cargo build --example consumer", program.exists())
    return [program]


def curl_consumer(directory):
    for name in ("curl", "jq"):
        program = needed(f"{name} on the PATH", shutil.which(name))
        write_program(directory / name, WITNESS.format(program=program))
    write_program(directory / "aws.py", AWS.format(python=sys.executable))
    write_program(directory / "aws", WITNESS.format(program=directory / "aws.py"))
    return ["bash", CONSUMERS / "curl" / "token.sh"]


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


LANGUAGES = {"python": python_consumer, "node": node_consumer, "rust": rust_consumer, "curl": curl_consumer}


class World:
    """Secrets Manager, the token endpoint and the API, on one server."""

    def __init__(self):
        self.server = Server(self.handle)
        self.url = f"http://{self.server.address}"
        self.reads = 0  # of the secret
        self.asked = []  # the answers of the token endpoint: "granted" or an error
        self.calls = []  # the client secrets with whose tokens the API was called
        self.tokens = {}  # each token that was given out, and the client secret that it was got with
        self.secrets = []  # each client secret that there ever was
        self.path = "/oauth2/token"
        self.service = None  # the secret's token_service; a secret of an older version has none
        self.delay = 0  # of the token endpoint's answer, in seconds
        self.good = set()
        self.rotate()
        self.rotate()

    def rotate(self):
        """As the rotation function: the new secret is the one to read, the one before it works, older ones do not."""
        number = len(self.secrets) + 1
        self.secrets.append(f"the-secret-number-{number}-" + "x" * 40)
        self.good = set(self.secrets[-2:])

    def handle(self, request):
        target = request.headers.get("X-Amz-Target")
        path = urllib.parse.urlsplit(request.path).path
        if target and target.endswith(".GetClientToken"):
            status, answer = self.client_token(request)
        elif target:
            status, answer = self.get_secret_value(target, json.loads(request.body))
        elif path.startswith("/oauth2"):
            status, answer = self.token(path, request)
        else:
            status, answer = self.api(request)
        request.answer(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})

    def get_secret_value(self, target, body):
        assert target == "secretsmanager.GetSecretValue"
        self.reads += 1
        if body["SecretId"] != SECRET:
            return 400, {"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find it."}
        by_api = self.service == "GetClientToken"
        endpoint = f"{self.url}/" if by_api else self.url + self.path
        value = {"client_id": "reporting", "client_secret": self.secrets[-1], "token_endpoint": endpoint}
        if self.service:
            value["token_service"] = self.service
        return 200, {"ARN": SECRET, "Name": SECRET, "VersionId": "1", "SecretString": json.dumps(value)}

    def token(self, path, request):
        time.sleep(self.delay)
        if path != self.path or self.service == "GetClientToken":
            self.asked.append("moved")
            return 404, {}
        scheme, _, credentials = request.headers["Authorization"].partition(" ")
        client, _, secret = base64.b64decode(credentials).decode().partition(":")
        form = urllib.parse.parse_qs(request.body.decode())
        if (scheme, client, form) != ("Basic", "reporting", {"grant_type": ["client_credentials"]}):
            self.asked.append("invalid_request")
            return 400, {"error": "invalid_request"}
        if secret not in self.good:
            self.asked.append("invalid_client")
            return 400, {"error": "invalid_client"}
        return 200, {"access_token": self.grant(secret), "expires_in": LIFE, "token_type": "Bearer"}

    def client_token(self, request):
        """GetClientToken: public, without a signature, at the root of Cognito's API."""
        time.sleep(self.delay)
        if self.service != "GetClientToken":
            self.asked.append("moved")
            return 400, {"__type": "NotAuthorizedException", "message": "ALLOW_CLIENT_TOKEN_AUTH is not enabled"}
        body = json.loads(request.body)
        right = (
            request.path == "/"
            and request.headers["X-Amz-Target"] == "AWSCognitoIdentityProviderService.GetClientToken"
            and request.headers["Content-Type"] == "application/x-amz-json-1.1"
            and "Authorization" not in request.headers
            and set(body) == {"ClientId", "Secret"}
            and body["ClientId"] == "reporting"
        )
        if not right:
            self.asked.append("invalid_request")
            return 400, {"__type": "InvalidParameterException", "message": "1 validation error detected"}
        if body["Secret"] not in self.good:
            self.asked.append("invalid_client")
            return 400, {"__type": "NotAuthorizedException", "message": "Invalid client or secret"}
        result = {"AccessToken": self.grant(body["Secret"]), "ExpiresIn": LIFE, "TokenType": "Bearer"}
        return 200, {"ClientAuthenticationResult": result}

    def grant(self, secret):
        self.asked.append("granted")
        token = f"the-token-number-{len(self.tokens) + 1}"
        self.tokens[token] = secret
        return token

    def api(self, request):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return 401, {}
        self.calls.append(self.tokens[token])
        return 200, {}


class Consumer:
    """A consumer that runs."""

    def __init__(self, world, language, directory, clock, secret=SECRET):
        self.world = world
        self.directory = directory
        self.said = ""
        self.environment = {
            "PATH": f"{directory}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(directory),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": world.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
            "ARGUMENTS": str(directory / "arguments"),
            "CLOCK": str(directory / "clock"),
            "LD_PRELOAD": str(clock),
        }
        self.errors = directory / "errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*LANGUAGES[language](directory), secret],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self.reads_each_time = language == "curl"

    def call(self, count=1):
        """Has so many calls of the API made at once. Whether all of them came back with 200."""
        urls = [f"{self.world.url}/orders?{number}" for number in range(count)]
        self.process.stdin.write(f"{' '.join(urls)}\n".encode())
        self.process.stdin.flush()
        answers = [self.line() for _ in urls]
        return sorted(answers) == sorted(f"200 {url}" for url in urls)

    def line(self):
        """The next line that it says, or None where it has ended."""
        line = b""
        deadline = time.monotonic() + 20
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            byte = os.read(self.process.stdout.fileno(), 1) if ready else b""
            if not byte:
                return None
            line += byte
        self.said += line.decode()
        return line.decode().strip()

    def fails(self):
        """Has a call made that must fail. What the consumer says of it."""
        assert not self.call()
        assert self.process.wait(20) != 0
        return self.errors.read_text()

    def later(self, seconds):
        """Moves its clock."""
        clock = self.directory / "clock"
        now = int(clock.read_text()) if clock.exists() else 0
        clock.write_text(str(now + seconds))

    def stop(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


@pytest.fixture(scope="module")
def clock(tmp_path_factory):
    """The library that moves a clock."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux lets a library stand in front of libc so simply")
    source = tmp_path_factory.mktemp("clock") / "clock.c"
    source.write_text(CLOCK)
    library = source.with_suffix(".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def world():
    world = World()
    yield world
    world.server.shutdown()
    world.server.server_close()


@pytest.fixture(params=LANGUAGES)
def start(request, world, clock, tmp_path):
    """Starts the consumer. At the end, whatever it has said, and every argument of what it has called, is searched."""
    started = []

    def start(**options):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Consumer(world, request.param, directory, clock, **options))
        return started[-1]

    yield start
    for consumer in started:
        consumer.stop()
        arguments = consumer.directory / "arguments"
        said = consumer.said + consumer.errors.read_text() + (arguments.read_text() if arguments.exists() else "")
        leaked = [text for text in (*world.secrets, *world.tokens) if text in said]
        assert not leaked, f"{len(leaked)} secrets or tokens were printed, or stood in the process list"


SERVICES = pytest.mark.parametrize("service", [None, "oauth2", "GetClientToken"])


@SERVICES
def test_a_token_is_asked_for_once_and_kept_to_its_last_minute_and_the_secret_for_a_day(world, start, service):
    world.service = service
    # Long enough for everybody who does not wait for another's token to ask for one.
    world.delay = 0.3
    consumer = start()
    assert consumer.call(4)
    assert consumer.call(2)
    consumer.later(LIFE - 70)
    assert consumer.call()
    assert (world.asked, world.reads) == (["granted"], 1)
    consumer.later(15)
    assert consumer.call(4)
    assert (world.asked, world.reads) == (["granted"] * 2, 2 if consumer.reads_each_time else 1)
    assert len(world.calls) == 4 + 2 + 1 + 4
    # A rotation leaves the former secret good, so nobody is refused; after the next one it would not be.
    world.rotate()
    consumer.later(DAY - LIFE)
    assert consumer.call()
    consumer.later(LIFE)
    assert consumer.call()
    assert world.asked == ["granted"] * 4
    assert world.calls[-1] == world.secrets[-1]


def test_a_rotation_and_a_new_domain_are_survived(world, start):
    consumer = start()
    assert consumer.call()
    world.rotate()
    world.rotate()
    consumer.later(LIFE)
    assert consumer.call(2)
    assert world.calls == [world.secrets[1]] + [world.secrets[3]] * 2
    world.path = "/oauth2/elsewhere"
    consumer.later(LIFE)
    assert consumer.call(2)
    again = [] if consumer.reads_each_time else ["invalid_client"]
    moved = [] if consumer.reads_each_time else ["moved"]
    assert world.asked == ["granted", *again, "granted", *moved, "granted"]
    assert world.reads == 3


def test_a_switch_of_the_token_service_is_survived(world, start):
    consumer = start()
    assert consumer.call()
    for service in ("GetClientToken", "oauth2"):
        world.service = service
        consumer.later(LIFE)
        assert consumer.call(2)
    moved = [] if consumer.reads_each_time else ["moved"]
    assert world.asked == ["granted", *moved, "granted", *moved, "granted"]
    assert world.reads == 3


@SERVICES
def test_a_refusal_is_an_error_that_says_why(world, start, service):
    world.service = service
    consumer = start()
    assert consumer.call()
    world.good.clear()
    consumer.later(LIFE)
    assert ("NotAuthorizedException" if service == "GetClientToken" else "invalid_client") in consumer.fails()
    assert world.asked == ["granted"] + ["invalid_client"] * (1 if consumer.reads_each_time else 2)
    assert world.reads == 2


def test_a_secret_that_cannot_be_read_is_an_error_that_says_which(world, start):
    consumer = start(secret="orders-api-dev/nobody")
    assert re.search("ResourceNotFound|can't find|orders-api-dev/nobody", consumer.fails())
    assert world.asked == []


@pytest.mark.parametrize("start", ["curl"], indirect=True)
def test_the_token_that_the_script_keeps_is_for_its_owner_alone(world, start, tmp_path):
    assert start().call()
    [directory] = tmp_path.rglob("cognito-m2m")
    kept = {path: path.read_text() for path in directory.iterdir()}
    assert any(token in text for text in kept.values() for token in world.tokens)
    assert not any(secret in text for text in kept.values() for secret in world.secrets)
    assert {path.stat().st_mode & 0o077 for path in (directory, *kept)} == {0}
