"""One local cloud and one deployed provider for the whole session; every test makes stacks of its own."""

import contextlib
import http.server
import json
import sys
import threading
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from cloud import BUILD, Cloud, Stack, stop_on_signals, wait_for  # noqa: E402

ATTRIBUTES = (
    "UserPoolId UserPoolArn UserPoolName Issuer JwksUri DiscoveryUrl Domain TokenEndpoint"
    " ClientId ClientSecretArn ClientIds Scopes TokenVerification"
).split()


@pytest.fixture(scope="session")
def cloud():
    if not (BUILD / "template.yaml").exists():
        pytest.exit("nothing is built: run `make build` first, or `make test-e2e`, which does", returncode=1)
    stop_on_signals()
    with Cloud() as running:
        yield running


@pytest.fixture(scope="session")
def platform(cloud):
    """The stack of template.yaml, deployed by `sam deploy`: the provider and one machine-to-machine stack."""
    return cloud.sam_deploy("platform", parameters={"EnvironmentName": "e2e"})


@pytest.fixture(scope="session")
def provider(cloud, platform):
    return Provider(cloud, platform)


@pytest.fixture
def stacks(provider):
    """Makes stacks with an M2M resource; deletes at the end what the test has left."""
    made = []

    def make(name):
        made.append(M2MStack(provider, name))
        return made[-1]

    yield make
    for stack in made:
        if stack.status:
            stack.delete()


class M2MStack(Stack):
    """A stack that holds a Custom::CognitoM2M and gives every attribute as an output."""

    def __init__(self, provider, name):
        super().__init__(provider.cloud, name)
        self.provider = provider

    def deploy(self, **properties):
        clients = [client["ClientName"] for client in properties.get("Clients", [])]
        attributes = {name: name for name in ATTRIBUTES}
        attributes |= {f"ClientId{i}": f"ClientId.{name}" for i, name in enumerate(clients)}
        attributes |= {f"SecretArn{i}": f"ClientSecretArn.{name}" for i, name in enumerate(clients)}
        template = {
            "Resources": {
                "M2M": {
                    "Type": "Custom::CognitoM2M",
                    "Properties": {
                        "ServiceToken": self.provider.arn,
                        "ServiceTimeout": 120,
                        "EnvironmentName": self.name,
                        **properties,
                    },
                }
            },
            "Outputs": {
                key: {"Value": {"Fn::GetAtt": ["M2M", attribute]}} for key, attribute in attributes.items()
            },
        }
        return super().deploy(template)

    def secret(self, index=0):
        """The value of the secret of a client, by the client's place in the list."""
        outputs = self.outputs
        return self.provider.cloud.secret(outputs.get(f"SecretArn{index}", outputs["ClientSecretArn"]))[0]


class Provider:
    """The deployed function."""

    def __init__(self, cloud, platform):
        self.cloud = cloud
        self.arn = platform.outputs["ServiceToken"]
        self.role = platform.physical_id("ProviderRole")
        self.log_group = platform.physical_id("ProviderLogGroup")

    def log(self):
        return self.cloud.log_of(self.log_group)

    def denied(self, *actions):
        """Takes actions away from the provider, which is how a test makes an operation fail half way."""
        return self._with_policy("Deny", actions)

    def allowed(self, *actions):
        """Gives actions to the provider that its role has under a condition unknown to MiniStack."""
        return self._with_policy("Allow", actions)

    @contextlib.contextmanager
    def _with_policy(self, effect, actions):
        iam = self.cloud.client("iam")
        statement = {"Effect": effect, "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_role_policy(RoleName=self.role, PolicyName="test", PolicyDocument=document)
        try:
            yield
        finally:
            iam.delete_role_policy(RoleName=self.role, PolicyName="test")

    def event(self, request_type, stack_id, properties, physical_id=None, query=""):
        """An event as CloudFormation makes it, for those that MiniStack never sends."""
        return {
            "RequestType": request_type,
            "ResponseURL": f"{{responder}}/answer{query}",
            "StackId": stack_id,
            "RequestId": str(uuid.uuid4()),
            "ResourceType": "Custom::CognitoM2M",
            "LogicalResourceId": "M2M",
            **({"PhysicalResourceId": physical_id} if physical_id else {}),
            "ResourceProperties": {"ServiceToken": self.arn, **properties},
        }

    def send(self, *events):
        """Invokes the function with all the events at once, and returns what it has PUT to their ResponseURLs."""
        with Responder() as responder:
            client = self.cloud.client("lambda")

            def invoke(event):
                event = {**event, "ResponseURL": event["ResponseURL"].format(responder=responder.url)}
                client.invoke(FunctionName=self.arn, Payload=json.dumps(event))

            threads = [threading.Thread(target=invoke, args=[event]) for event in events]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            wait_for(lambda: len(responder.answers) >= len(events), "an answer at the ResponseURL", 10)
            return responder.answers


class Responder:
    """Stands in for the S3 bucket behind a ResponseURL."""

    def __enter__(self):
        self.answers = answers = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answers.append({"headers": dict(self.headers), "size": len(body), **json.loads(body)})
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
