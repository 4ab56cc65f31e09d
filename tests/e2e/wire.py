"""Faults on the wire: the built provider as a process, between a Lambda runtime, a proxy and a ResponseURL of ours.

    Runtime (the Lambda Runtime API)  <->  the provider  ->  Proxy  ->  MiniStack
                                                |
                                                +->  Bucket (what stands behind a ResponseURL)

A `Wire` holds one case: one proxy, one bucket, as many processes as the case needs. The proxy counts every call and
asks the case's plan what to do with it. When the case ends, everything that the processes have said is searched for
every secret that has passed the proxy, and what the case has made is removed.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import random
import re
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse
import uuid
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cloud import BUILD, REGION, ROOT_KEY, http

BINARY = BUILD / "ProviderFunction" / "bootstrap"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:provider"
TOKEN, KEYS = "token", "keys"  # the two requests that are no AWS operation
LAMBDA_TIMEOUT = 300  # the template's
POLL = 0.05  # for the end of a process; everything else wakes its waiter
_numbers = itertools.count(1)


class Server(ThreadingHTTPServer):
    """A server on a free port of this machine; `handle(handler)` gets every request, on a thread of its own."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handle):
        class Handler(BaseHTTPRequestHandler):
            wbufsize = -1  # headers and body in one packet

            def answer(self, status, body=b"", headers=None):
                self.send_response_only(status)
                for name, value in {**(headers or {}), "Content-Length": len(body), "Connection": "close"}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def reset(self):
                """Breaks the connection off: the peer sees a reset, not an orderly end."""
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

            def do_any(self):
                self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                # A process that was killed does not read its answer, and after a reset there is nobody to answer.
                with contextlib.suppress(OSError, ValueError):
                    handle(self)

            do_GET = do_POST = do_PUT = do_any

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def shutdown_request(self, request):
        with contextlib.suppress(OSError):
            super().shutdown_request(request)

    def handle_error(self, *_):
        pass  # connections that end early are what this is for

    def close(self):
        self.shutdown()
        self.server_close()


# --- The proxy and its faults


@dataclasses.dataclass(frozen=True, order=True)
class Call:
    """One call: the n-th of an operation in a case. Calls that run side by side have names that do not vary."""

    operation: str
    number: int

    def __str__(self):
        return f"{self.operation} {self.number}"


class Exchange:
    """One request at the proxy, for a fault to decide about."""

    def __init__(self, proxy, handler, call):
        self.proxy, self.handler, self.call = proxy, handler, call
        self.forwarded = None
        self.over = False

    def forward(self):
        """Sends the request on, once; AWS does what it asks for. The provider does not get the answer yet."""
        if self.forwarded is None:
            self.forwarded = self.proxy.forward(self.handler)
            self.proxy.note(self.proxy.forwarded, self.call)
        return self.forwarded

    def answer(self, status, body, headers=None):
        self.over = True
        self.handler.answer(status, body, headers)

    def reset(self):
        self.over = True
        self.handler.reset()


class Proxy:
    """Stands in front of the local AWS. `plan(call)` gives the fault for a call, or None."""

    def __init__(self, endpoint, plan):
        self.endpoint = urllib.parse.urlsplit(endpoint)
        self.plan = plan
        self.lock = threading.Lock()
        self.calls = []  # (when it arrived, Call)
        self.forwarded = []  # those that AWS has got
        self.faulted = []  # those that a fault has met
        self.secrets = set()  # what nobody may ever print
        self.closing = threading.Event()
        self.server = Server(self.handle)
        self.url = f"http://{self.server.address}"

    def handle(self, handler):
        self.collect_authorization(handler.headers.get("Authorization", ""))
        operation = self.operation(handler)
        with self.lock:
            call = Call(operation, 1 + sum(call.operation == operation for _, call in self.calls))
            self.calls.append((time.monotonic(), call))
        exchange = Exchange(self, handler, call)
        fault = self.plan(call)
        if fault:
            self.note(self.faulted, call)
            fault(exchange)
        if not exchange.over:
            exchange.answer(*exchange.forward())

    def note(self, log, call):
        with self.lock:
            log.append(call)

    @staticmethod
    def operation(handler):
        target = handler.headers.get("X-Amz-Target", "")
        if target:
            return target.rpartition(".")[2]
        return TOKEN if handler.path == "/oauth2/token" else KEYS

    def forward(self, handler):
        connection = HTTPConnection(self.endpoint.hostname, self.endpoint.port, timeout=30)
        try:
            # The headers as they are, Host too: it is signed.
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            connection.endheaders(handler.body)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        self.collect_secrets(body)
        skipped = {"content-length", "connection", "transfer-encoding", "date", "server"}
        return response.status, body, {n: v for n, v in response.getheaders() if n.lower() not in skipped}

    def collect_authorization(self, header):
        """The header as it is, and the credential in it: a signature, or a client's id and secret."""
        found = {header, header.rpartition("Signature=")[2], header.removeprefix("Basic ")} - {""}
        self.add_secrets(found)

    def collect_secrets(self, body):
        """The values that AWS has handed out; a secret's document is JSON within JSON."""
        text = body.decode(errors="replace").replace('\\"', '"')
        found = re.findall(r'"(?:ClientSecret|client_secret|access_token)": ?"([^"]+)"', text)
        self.add_secrets(found)

    def add_secrets(self, found):
        with self.lock:
            self.secrets.update(found)

    def count(self, operation):
        """How often AWS has been asked for an operation."""
        with self.lock:
            return sum(call.operation == operation for call in self.forwarded)

    def most_in_a_second(self, operation):
        """The most calls of one operation that arrived within any second."""
        times = sorted(when for when, call in self.calls if call.operation == operation)
        return max(sum(start <= when < start + 1 for when in times) for start in times)

    def close(self):
        self.closing.set()
        self.server.close()


def throttling(exchange):
    """Refused for the pace, in the words of the service."""
    if exchange.call.operation in (TOKEN, KEYS):
        return exchange.answer(429, b"{}")
    cognito = "Cognito" in exchange.handler.headers["X-Amz-Target"]
    code = "TooManyRequestsException" if cognito else "ThrottlingException"
    return exchange.answer(400, *refusal(code, "Rate exceeded"))


def internal_error(exchange):
    exchange.answer(500, *refusal("InternalErrorException", "Something went wrong"))


def reset(exchange):
    exchange.reset()


def hang(exchange):
    """No answer, until the case is over."""
    exchange.proxy.closing.wait(60)
    exchange.reset()


def latency(seconds):
    return lambda _exchange: time.sleep(seconds)


def before(fault):
    """The fault meets the request: AWS does not get it, unless the fault lets it through."""
    return fault


def after(fault):
    """AWS does what it was asked for; then the fault meets the answer."""

    def forward_first(exchange):
        exchange.forward()
        fault(exchange)

    return forward_first


def kill(run):
    """SIGKILL to the process that `run()` gives; its call is never answered."""

    def kill_now(exchange):
        run().kill()
        exchange.reset()

    return kill_now


class Hold:
    """Keeps a call waiting until `release`; then it goes on as if nothing had been."""

    def __init__(self):
        self.reached, self.released = threading.Event(), threading.Event()
        self.release = self.released.set

    def __call__(self, _exchange):
        self.reached.set()
        self.released.wait(14)  # the provider gives up on an answer a little later


def meeting(processes, seconds):
    """Keeps a call of each of so many processes waiting until all of them are there, or some time has passed."""
    barrier = threading.Barrier(processes)

    def wait_for_the_others(_exchange):
        with contextlib.suppress(threading.BrokenBarrierError):
            barrier.wait(seconds)

    return wait_for_the_others


def at(call, fault):
    """A plan: this fault at this call."""
    return lambda arrived: fault if arrived == call else None


def always(operation, fault):
    """A plan: this fault at every call of an operation."""
    return lambda arrived: fault if arrived.operation == operation else None


def jitter(seed, most):
    """A plan: every call takes another time, up to so many seconds."""
    dice = random.Random(seed)
    return lambda _arrived: latency(dice.random() * most)


def every_fifth_call(first, fault, otherwise=None):
    """A plan: this fault at a fifth of all calls, in the order in which they come."""
    turn = itertools.count(-first)
    return lambda _arrived: otherwise if next(turn) % 5 else fault


def refusal(code, message):
    """An error in the form that the services have for it."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}
    return json.dumps({"__type": code, "message": message}).encode(), headers


# --- The ResponseURL


class Bucket:
    """Stands behind the ResponseURLs of a case. `statuses` are for the first PUTs; all later ones get 200."""

    def __init__(self, statuses):
        self.statuses = list(statuses)
        self.puts = []  # (when, path, status given, headers, body)
        self.lock = threading.Lock()
        self.server = Server(self.handle)

    def handle(self, handler):
        with self.lock:
            status = self.statuses.pop(0) if self.statuses else 200
            self.puts.append((time.time(), handler.path, status, dict(handler.headers), handler.body))
        if status is None:
            handler.reset()
        else:
            handler.answer(status)

    def url(self, event_id, canary, age):
        signed_at = (datetime.now(UTC) - timedelta(seconds=age)).strftime("%Y%m%dT%H%M%SZ")
        query = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={signed_at}&X-Amz-Expires=7200&X-Amz-Signature={canary}"
        return f"http://{self.server.address}/{event_id}?{query}"


# --- The Lambda runtime


class Run:
    """One delivery of an event to one process of the provider."""

    def __init__(self, wire, event, seconds):
        self.event = event
        self.deadline = time.time() + seconds
        self.result = None  # ("response" or "error", what the invocation ended with)
        self.asked = 0
        self.known = threading.Event()  # the case knows the run, so a fault can end it
        self.idle = threading.Event()  # it asks for the next event: it has done all that it does
        self.closing = threading.Event()
        self.server = Server(self.handle)
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [BINARY],
            env=wire.environment | {"AWS_LAMBDA_RUNTIME_API": self.server.address},
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
        )

    def handle(self, handler):
        *_, request_id, last = ["", *handler.path.split("/")]
        if last == "next":
            self.asked += 1
            if self.asked > 1:
                self.idle.set()
                self.closing.wait(LAMBDA_TIMEOUT)
                return handler.reset()
            # A process can make its first call sooner than `start` returns.
            self.known.wait(LAMBDA_TIMEOUT)
            headers = {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
                "Lambda-Runtime-Deadline-Ms": str(int(self.deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
            }
            return handler.answer(200, json.dumps(self.event).encode(), headers)
        self.result = (last, handler.body.decode())
        return handler.answer(202)

    def wait(self):
        """Until the process has dealt with the event, has ended, or has met its deadline, as in Lambda."""
        while not self.idle.wait(POLL) and self.process.poll() is None:
            if time.time() > self.deadline:
                self.result = ("timeout", f"the process was still at work at its deadline:\n{self.lines()[-1:]}")
                break
        self.close()
        return self

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.closing.set()
        self.kill()
        self.server.close()

    def lines(self):
        """What the process has written to stdout and stderr."""
        return os.pread(self.output.fileno(), 1 << 24, 0).decode(errors="replace").splitlines()

    @property
    def ok(self):
        return self.result is not None and self.result[0] == "response"


# --- One case


class Wire:
    """One stack of its own, with everything between the provider and the world in our hands."""

    def __init__(self, aws, plan=lambda call: None, statuses=()):
        self.aws = aws
        self.name = f"wire{next(_numbers)}"
        self.stack_id = f"arn:aws:cloudformation:{REGION}:000000000000:stack/{self.name}/{uuid.uuid4()}"
        self.domain = f"faults-{self.name}"
        self.pool_name = f"machine-to-machine-{self.name}"
        self.proxy = Proxy(aws.endpoint, plan)
        self.bucket = Bucket(statuses)
        self.runs = []
        self.canaries = {kind: f"canary-{kind}-{uuid.uuid4().hex}" for kind in ("signature", "access-key", "session")}
        self.environment = {
            "AWS_LAMBDA_FUNCTION_NAME": "provider",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/provider",
            "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
            "AWS_LAMBDA_LOG_LEVEL": "TRACE",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "RUST_LOG": "trace",
            "RUST_BACKTRACE": "1",
            "AWS_REGION": REGION,
            # MiniStack asks for no signature by this key, so the others may be anything.
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": self.canaries["access-key"],
            "AWS_SESSION_TOKEN": self.canaries["session"],
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.proxy.url,
            "NO_PROXY": "127.0.0.1",
        }

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.proxy.closing.set()
            for run in self.runs:
                run.close()
            self.proxy.close()
            self.bucket.server.close()
            if kind is None:
                self.check_silence()
        finally:
            for run in self.runs:
                run.output.close()
            self.aws.remove(self)

    def event(self, request_type, physical_id=None, age=0, **properties):
        """An event of this case's resource, as CloudFormation made it so many seconds ago."""
        request_id = str(uuid.uuid4())
        return {
            "RequestType": request_type,
            "ResponseURL": self.bucket.url(request_id, self.canaries["signature"], age),
            "StackId": self.stack_id,
            "RequestId": request_id,
            "ResourceType": "Custom::CognitoM2M",
            "LogicalResourceId": "M2M",
            **({"PhysicalResourceId": physical_id} if physical_id else {}),
            "ServiceToken": ARN,
            "ResourceProperties": {
                "ServiceToken": ARN,
                "EnvironmentName": self.name,
                "DomainPrefix": "faults",
                **properties,
            },
        }

    def start(self, event, seconds=LAMBDA_TIMEOUT):
        """Delivers an event to a new process and does not wait."""
        run = Run(self, event, seconds)
        self.runs.append(run)
        run.known.set()
        return run

    def run(self, event, seconds=LAMBDA_TIMEOUT):
        return self.start(event, seconds).wait()

    def puts(self, event):
        """Every PUT to the ResponseURL of an event."""
        path = event["ResponseURL"].partition(self.bucket.server.address)[2]
        return [put for put in self.bucket.puts if put[1] == path]

    def answers(self, event):
        """The answers that CloudFormation has accepted, each in the form that it wants."""
        answers = []
        for when, _, status, headers, body in self.puts(event):
            if status != 200:
                continue
            headers = {name.lower(): value for name, value in headers.items()}
            assert headers.get("content-type", "") == "", headers
            assert len(body) <= 4096, f"an answer of {len(body)} bytes"
            answer = json.loads(body)
            for name in ("StackId", "RequestId", "LogicalResourceId"):
                assert answer[name] == event[name], answer
            assert answer["PhysicalResourceId"], answer
            assert answer["Status"] == "SUCCESS" or answer["Reason"], answer
            answers.append({**answer, "when": when})
        return answers

    def answer(self, event):
        """The one answer to an event: exactly one."""
        answers = self.answers(event)
        assert len(answers) == 1, f"{len(answers)} answers: {answers}; {[run.result for run in self.runs]}"
        return answers[0]

    def data(self, event):
        """What the one answer, a SUCCESS, says."""
        answer = self.answer(event)
        assert answer["Status"] == "SUCCESS", answer["Reason"]
        assert answer["PhysicalResourceId"] == answer["Data"]["UserPoolId"], answer
        return answer["Data"]

    def check_silence(self):
        """No secret in a line of output, in an answer, or in what the invocation ended with; and no panic."""
        secrets = self.proxy.secrets | set(self.canaries.values())
        said = [line for run in self.runs for line in (*run.lines(), str(run.result))]
        said += [body.decode(errors="replace") for *_, body in self.bucket.puts]
        for text in said:
            leaked = [secret for secret in secrets if secret in text]
            assert not leaked, f"{leaked} in: {text}"
            assert "panicked" not in text, text


class Aws:
    """What the local AWS holds, seen from beside the proxy. Without boto3, whose calls cost more than all the rest."""

    SERVICES = {"cognito-idp": "AWSCognitoIdentityProviderService", "secretsmanager": "secretsmanager"}

    def __init__(self, cloud):
        self.endpoint = cloud.endpoint

    def call(self, service, operation, **arguments):
        """The answer of an operation; where it is refused, the error's own fields."""
        headers = {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={ROOT_KEY}/20260101/{REGION}/{service}/aws4_request, "
            "SignedHeaders=host, Signature=none",
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"{self.SERVICES[service]}.{operation}",
        }
        return json.loads(http("POST", self.endpoint, json.dumps(arguments).encode(), headers)[1] or b"{}")

    def cognito(self, operation, **arguments):
        return self.call("cognito-idp", operation, **arguments)

    def secrets(self, operation, **arguments):
        return self.call("secretsmanager", operation, **arguments)

    def pools(self, wire):
        """The ids of the pools of the case's name."""
        found = self.cognito("ListUserPools", MaxResults=60)
        assert "NextToken" not in found, "more pools than these tests should make"
        return [pool["Id"] for pool in found["UserPools"] if pool["Name"] == wire.pool_name]

    def clients(self, pool):
        found = self.cognito("ListUserPoolClients", UserPoolId=pool, MaxResults=60)["UserPoolClients"]
        return [client["ClientId"] for client in found]

    def live_secrets(self, wire):
        """Live ones with the mark of the case's stack; one that is scheduled for deletion is not listed."""
        found = self.secrets("ListSecrets", MaxResults=100)
        assert "NextToken" not in found, "more secrets than these tests should make"
        mark = {"Key": "cognito-m2m:stack-id", "Value": wire.stack_id}
        return [secret["Name"] for secret in found["SecretList"] if mark in secret.get("Tags", [])]

    def document(self, arn):
        return json.loads(self.secrets("GetSecretValue", SecretId=arn)["SecretString"])

    def domain_owner(self, wire):
        return self.cognito("DescribeUserPoolDomain", Domain=wire.domain)["DomainDescription"].get("UserPoolId")

    def check_one_of_everything(self, wire, data):
        """One pool, one client, one secret, one domain; the ones that the answer names; and the secret is right."""
        pools = self.pools(wire)
        assert pools == [data["UserPoolId"]]
        [pool] = pools
        tags = self.cognito("DescribeUserPool", UserPoolId=pool)["UserPool"]["UserPoolTags"]
        assert tags["cognito-m2m:stack-id"] == wire.stack_id
        assert self.clients(pool) == [data["ClientId"]]
        assert self.domain_owner(wire) == pool
        servers = self.cognito("ListResourceServers", UserPoolId=pool, MaxResults=50)["ResourceServers"]
        assert [server["Identifier"] for server in servers] == ["m2m-client"]
        assert self.live_secrets(wire) == [f"{wire.pool_name}/{wire.pool_name}-client"]
        document = self.document(data["ClientSecretArn"])
        client = self.cognito("DescribeUserPoolClient", UserPoolId=pool, ClientId=data["ClientId"])["UserPoolClient"]
        assert document["client_id"] == data["ClientId"]
        assert document["client_secret"] == client["ClientSecret"]
        # The address that is configured for Cognito is the proxy's.
        assert document["token_endpoint"] == data["TokenEndpoint"] == f"{wire.proxy.url}/oauth2/token"
        wire.proxy.add_secrets([document["client_secret"]])

    def check_nothing(self, wire):
        """Nothing of the case's stack lives."""
        assert self.pools(wire) == []
        assert self.live_secrets(wire) == []
        assert self.domain_owner(wire) is None

    def remove(self, wire):
        """Takes away what a case leaves, so that the next one finds little to list."""
        for pool in self.pools(wire):
            self.cognito("DeleteUserPoolDomain", UserPoolId=pool, Domain=wire.domain)
            self.cognito("DeleteUserPool", UserPoolId=pool)
        for name in self.live_secrets(wire):
            self.secrets("DeleteSecret", SecretId=name, ForceDeleteWithoutRecovery=True)
