"""Several teams in one user pool: platform, api-team, consumer-team and terraform-pool, by the real `sam deploy`.

The tests of the first part are steps of one story: they run in this order. MiniStack has none of Cognito's calls for a
second client secret, so its clients have one. It knows no conditions on tags of user pools:
tests/tools/test_iam_policies.py checks those of the roles.
"""

import re

import pytest
from cloud import REGION, ROOT, TOOLS, Stack, request_token, verified_claims
from test_m2m import SECRET_KEYS, scopes_of

PLATFORM = "m2m-platform"
MARK = re.compile(r" @[0-9a-f]{16}$")
REPORTING_SCOPES = ["orders/read"]


class Secret(dict):
    """A secret's value. pytest shows the arguments of what fails; these it shall not show."""

    def __repr__(self):
        return "<secret>"


class Team(Stack):
    """A team's stack, deployed from an example."""

    def __init__(self, cloud, folder, name, example):
        super().__init__(cloud, name)
        self.cloud = cloud
        self.example = ROOT / "examples" / example / "template.yaml"
        self.template = folder / f"{name}.yaml"

    def sam_deploy(self, *change, **parameters):
        """Deploys the example with a change of its text, if there is one: (old, new). Returns whether it succeeded."""
        text = self.example.read_text()
        if change:
            old, new = change
            assert old in text
            text = text.replace(old, new)
        self.template.write_text(text)
        parameters = {"ProviderStackName": "platform", **parameters}
        command = [TOOLS / "sam" / "bin" / "sam", "deploy", "--stack-name", self.name, "--region", REGION]
        command += ["--template-file", self.template, "--capabilities", "CAPABILITY_IAM"]
        command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
        return self.cloud.run(*command, folder=self.template.parent, seconds=120).code == 0

    def secret(self):
        return Secret(self.cloud.secret(self.outputs["ClientSecretArn"])[0])


def claims_of(secret):
    """The verified claims of a token, without a word of the secret if there is none."""
    status, answer = request_token(secret)
    assert status == 200, answer.get("error")
    return verified_claims(secret, answer["access_token"])


def names_in(cloud, pool):
    """The names of the pool's clients and of its resource servers."""
    cognito = cloud.client("cognito-idp")
    clients = cognito.list_user_pool_clients(UserPoolId=pool, MaxResults=60)["UserPoolClients"]
    servers = cognito.list_resource_servers(UserPoolId=pool, MaxResults=50)["ResourceServers"]
    return {client["ClientName"] for client in clients}, {server["Name"] for server in servers}


def without_marks(names):
    return {MARK.sub("", name) for name in names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("teams")


@pytest.fixture(scope="module")
def teams(cloud, platform, folder):
    """The three stacks, in the order in which they have to be deployed."""
    stacks = [
        Team(cloud, folder, PLATFORM, "platform"),
        Team(cloud, folder, "orders-api", "api-team"),
        Team(cloud, folder, "web-shop", "consumer-team"),
    ]
    try:
        for stack, logical_id in zip(stacks, ("Pool", "Orders", "Checkout"), strict=True):
            assert stack.sam_deploy(), stack.failures(logical_id)
        yield stacks
    finally:
        for stack in reversed(stacks):
            if stack.status:
                stack.delete()


# --- The story of one pool


def test_the_consumer_gets_a_token_with_exactly_its_scopes(teams):
    owner, _, consumer = teams
    secret, outputs = consumer.secret(), consumer.outputs
    claims = claims_of(secret)
    assert scopes_of(claims) == {"orders/read", "orders/write"}
    assert claims["client_id"] == outputs["ClientId"] == consumer.physical_id("Checkout") == secret["client_id"]
    assert claims["exp"] - claims["iat"] == 15 * 60
    assert claims["iss"] == owner.outputs["Issuer"]
    assert secret["token_endpoint"] == owner.outputs["TokenEndpoint"] == outputs["TokenEndpoint"]
    assert SECRET_KEYS <= secret.keys()
    # The consumer sees its own name for the client, and finds its secret by the name of its stack.
    assert secret["client_name"] == "checkout"
    assert ":secret:web-shop/checkout" in outputs["ClientSecretArn"]
    assert request_token(secret, scope="platform/probe")[0] == 400


def test_what_a_team_adds_carries_its_mark_and_what_is_the_platforms_does_not(cloud, teams):
    clients, servers = names_in(cloud, teams[0].outputs["UserPoolId"])
    assert without_marks(clients) == {"probe", "checkout"} and "probe" in clients
    assert without_marks(servers) == {"Platform", "Orders API"} and "Platform" in servers
    marks = {MARK.search(name)[0] for name in clients | servers if MARK.search(name)}
    assert len(marks) == 2


def test_the_platform_changes_its_pool_and_the_teams_things_stay(cloud, teams):
    owner, _, consumer = teams
    pool, secret = owner.outputs["UserPoolId"], consumer.secret()
    before = names_in(cloud, pool)
    second = ("platform/probe]", "platform/probe]\n        - ClientName: second")
    assert owner.sam_deploy(*second, SharedWithStacks="orders-"), owner.failures("Pool")
    tags = cloud.client("cognito-idp").describe_user_pool(UserPoolId=pool)["UserPool"]["UserPoolTags"]
    assert tags["cognito-m2m:shared-with"] == "orders-"
    after = names_in(cloud, pool)
    assert after == (before[0] | {"second"}, before[1])
    # CloudFormation keeps the value of a parameter that a deployment does not name.
    assert owner.sam_deploy(SharedWithStacks="orders-,web-shop"), owner.failures("Pool")
    assert names_in(cloud, pool) == before
    assert consumer.secret() == secret
    assert scopes_of(claims_of(secret)) == {"orders/read", "orders/write"}


def test_a_stack_without_the_owners_consent_adds_nothing(cloud, teams, folder):
    pool = teams[0].outputs["UserPoolId"]
    before = names_in(cloud, pool)
    stranger = Team(cloud, folder, "stranger", "consumer-team")
    try:
        assert not stranger.sam_deploy()
        reason = stranger.failures("Checkout")[0]
        assert "cognito-m2m:shared-with" in reason and "stranger" in reason
        assert names_in(cloud, pool) == before
    finally:
        assert stranger.delete() == "DELETE_COMPLETE"


def test_a_team_cannot_take_over_a_client_that_the_platform_declares(cloud, teams, folder):
    owner = teams[0]
    pool, probe = owner.outputs["UserPoolId"], Secret(cloud.secret(owner.outputs["ProbeSecretArn"])[0])
    before = names_in(cloud, pool)
    thief = Team(cloud, folder, "orders-thief", "terraform-pool")
    try:
        assert not thief.sam_deploy(UserPoolId=pool, ReportingClientId=probe["client_id"])
        assert "declares it and keeps its secret" in thief.failures("Reporting")[0]
        assert names_in(cloud, pool) == before
    finally:
        assert thief.delete() == "DELETE_COMPLETE"


def test_a_scope_that_does_not_exist_is_refused_by_its_name(cloud, teams):
    consumer = teams[2]
    secret = consumer.secret()
    assert not consumer.sam_deploy("[orders/read, orders/write]", "[orders/read, orders/refund]")
    assert "orders/refund" in consumer.failures("Checkout")[-1]
    assert consumer.secret() == secret


def test_an_api_team_cannot_remove_a_scope_that_a_client_holds(teams):
    _, api, consumer = teams
    assert not api.sam_deploy("        - {ScopeName: write, ScopeDescription: Place and change orders}\n", "")
    reason = api.failures("Orders")[-1]
    assert "orders/write" in reason and "checkout" in reason
    assert scopes_of(claims_of(consumer.secret())) == {"orders/read", "orders/write"}


def test_an_api_team_cannot_delete_a_server_whose_scopes_a_client_holds(teams):
    _, api, consumer = teams
    assert api.delete() == "DELETE_FAILED"
    assert "checkout" in api.failures("Orders")[-1]
    assert scopes_of(claims_of(consumer.secret())) == {"orders/read", "orders/write"}


def test_the_platform_cannot_delete_a_pool_that_others_use(cloud, provider, teams):
    owner, _, consumer = teams
    # CloudFormation itself protects the exports. The provider refuses even if nobody imports them.
    pool, stack_id = owner.outputs["UserPoolId"], owner.description["StackId"]
    event = provider.event("Delete", stack_id, {"EnvironmentName": "dev"}, pool) | {"LogicalResourceId": "Pool"}
    [answer] = provider.send(event)
    assert answer["Status"] == "FAILED"
    assert "checkout" in answer["Reason"] and "orders" in answer["Reason"]
    assert claims_of(consumer.secret())["iss"] == owner.outputs["Issuer"]


def test_the_platform_cannot_change_a_domain_that_others_use(cloud, teams):
    owner, _, consumer = teams
    assert not owner.sam_deploy(DomainPrefix="m2m-elsewhere")
    assert "checkout" in owner.failures("Pool")[-1]
    assert cloud.domain_owner("m2m-platform-dev") == owner.outputs["UserPoolId"]
    assert cloud.domain_owner("m2m-elsewhere-dev") is None
    assert claims_of(consumer.secret())["client_id"] == consumer.outputs["ClientId"]


def test_the_teams_leave_in_the_other_order(cloud, teams):
    owner, api, consumer = teams
    pool, secret = owner.outputs["UserPoolId"], consumer.secret()
    assert consumer.delete() == "DELETE_COMPLETE"
    assert request_token(secret)[1].get("error") == "invalid_client"
    assert api.delete() == "DELETE_COMPLETE"
    assert names_in(cloud, pool) == ({"probe"}, {"Platform"})
    assert owner.delete() == "DELETE_COMPLETE"
    assert pool not in [p["Id"] for p in cloud.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]]
    names = [secret["Name"] for secret in cloud.client("secretsmanager").list_secrets()["SecretList"]]
    assert not [name for name in names if name.startswith(("web-shop/", "platform-dev/"))]


# --- A client from another tool


@pytest.fixture
def terraform(cloud):
    """A pool, its domain, a resource server and a client, as examples/terraform-pool/main.tf makes them."""
    cognito = cloud.client("cognito-idp")
    tags = {"cognito-m2m:shared-with": "reporting billing-"}
    pool = cognito.create_user_pool(PoolName="m2m", UserPoolTags=tags)["UserPool"]["Id"]
    cognito.create_user_pool_domain(UserPoolId=pool, Domain="acme-m2m")
    scopes = [{"ScopeName": "read", "ScopeDescription": "See orders"}]
    cognito.create_resource_server(UserPoolId=pool, Identifier="orders", Name="Orders API", Scopes=scopes)
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="reporting",
        GenerateSecret=True,
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthScopes=REPORTING_SCOPES,
    )["UserPoolClient"]
    yield Secret(client)
    cognito.delete_user_pool_domain(UserPoolId=pool, Domain="acme-m2m")
    cognito.delete_user_pool(UserPoolId=pool)


def test_a_client_from_terraform_keeps_its_id_and_secret_and_gets_its_name_back(cloud, provider, terraform, folder):
    cognito, manager = cloud.client("cognito-idp"), cloud.client("secretsmanager")
    pool, client = terraform["UserPoolId"], terraform["ClientId"]

    def live():
        return Secret(cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client)["UserPoolClient"])

    stack = Team(cloud, folder, "reporting", "terraform-pool")
    parameters = {"UserPoolId": pool, "ReportingClientId": client}
    assert stack.sam_deploy(**parameters), stack.failures("Reporting")
    try:
        secret = stack.secret()
        same = secret["client_secret"] == terraform["ClientSecret"]  # compared here, so that pytest shows neither
        assert same
        assert secret["client_id"] == client == stack.outputs["ClientId"] == stack.physical_id("Reporting")
        assert secret["client_name"] == "reporting"
        assert scopes_of(claims_of(secret)) == set(REPORTING_SCOPES)
        assert MARK.sub("", live()["ClientName"]) == "reporting" != live()["ClientName"]
        assert names_in(cloud, pool)[1] == {"Orders API"}

        # The template no longer names the client, and nothing changes.
        versions = manager.describe_secret(SecretId=secret_name(stack))["VersionIdsToStages"]
        assert stack.sam_deploy("      AdoptClientId: !Ref ReportingClientId", "      #", **parameters)
        assert manager.describe_secret(SecretId=secret_name(stack))["VersionIdsToStages"] == versions
    finally:
        arn = secret_name(stack)
        assert stack.delete() == "DELETE_COMPLETE"
    assert live()["ClientName"] == "reporting"
    assert live()["AllowedOAuthScopes"] == REPORTING_SCOPES
    assert scopes_of(claims_of(secret)) == set(REPORTING_SCOPES)
    assert "DeletedDate" in manager.describe_secret(SecretId=arn)


def secret_name(stack):
    return stack.outputs["ClientSecretArn"]


def test_a_client_that_people_sign_in_with_is_not_taken_over(cloud, provider, terraform, folder):
    cognito = cloud.client("cognito-idp")
    pool, client = terraform["UserPoolId"], terraform["ClientId"]
    flows = {"AllowedOAuthFlows": ["code"], "CallbackURLs": ["https://example.com/callback"]}
    cognito.update_user_pool_client(UserPoolId=pool, ClientId=client, **flows)
    stack = Team(cloud, folder, "reporting-people", "terraform-pool")
    try:
        assert not stack.sam_deploy(UserPoolId=pool, ReportingClientId=client)
        assert "client_credentials" in stack.failures("Reporting")[0]
        described = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client)["UserPoolClient"]
        assert (described["ClientName"], described["AllowedOAuthFlows"]) == ("reporting", ["code"])
    finally:
        assert stack.delete() == "DELETE_COMPLETE"
