"""Assertion tests of the construct and of the stack that uses it."""

from typing import Any

import pytest
from aws_cdk import App, Duration, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_ssm as ssm
from aws_cdk.assertions import Match, Template

from cognito_m2m import ClientProps, CognitoM2M, ResourceServerProps, ScopeProps
from orders_stack import OrdersStack

KEY_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
LAMBDA = iam.ServicePrincipal("lambda.amazonaws.com")


@pytest.fixture
def stack() -> Stack:
    return Stack(App(), "Stack")


def logical_id(auth: CognitoM2M) -> str:
    return Stack.of(auth).get_logical_id(auth.resource.node.default_child)


def properties_of(stack: Stack) -> dict[str, Any]:
    [resource] = Template.from_stack(stack).find_resources("Custom::CognitoM2M").values()
    return resource["Properties"]


def named_clients(count: int) -> list[ClientProps]:
    return [ClientProps(client_name=f"client-{i}") for i in range(count)]


def test_every_property_arrives_under_the_name_and_in_the_unit_that_the_resource_knows(stack: Stack) -> None:
    CognitoM2M(
        stack,
        "Auth",
        service_token="arn:aws:lambda:us-east-1:111122223333:function:provider",
        environment_name="prod",
        user_pool_name_prefix="orders",
        domain_prefix="acme-orders",
        project_tag="shop",
        tags={"team": "blue"},
        resource_servers=[
            ResourceServerProps(identifier="orders", scopes=[ScopeProps(scope_name="read")]),
            ResourceServerProps(
                identifier="https://a.example",
                name="A",
                scopes=[ScopeProps(scope_name="write", scope_description="Change")],
            ),
        ],
        clients=[
            ClientProps(
                client_name="worker",
                allowed_oauth_scopes=["orders/read"],
                access_token_validity=Duration.hours(2),
            ),
            ClientProps(client_name="reporting"),
        ],
        user_pool_tier=cognito.FeaturePlan.LITE,
        managed_login_version=cognito.ManagedLoginVersion.CLASSIC_HOSTED_UI,
        deletion_protection=True,
        secret_name_prefix="acme/orders",
        secret_kms_key=kms.Key.from_key_arn(stack, "Key", KEY_ARN),
        secret_recovery_window=Duration.days(0),
        rotation_interval=Duration.days(30),
        rotate_secrets="2026-11-22",
        verify_token=False,
    )
    assert properties_of(stack) == {
        "ServiceToken": "arn:aws:lambda:us-east-1:111122223333:function:provider",
        "ServiceTimeout": "1200",
        "EnvironmentName": "prod",
        "UserPoolNamePrefix": "orders",
        "DomainPrefix": "acme-orders",
        "ProjectTag": "shop",
        "Tags": {"team": "blue"},
        "ResourceServers": [
            {"Identifier": "orders", "Scopes": [{"ScopeName": "read"}]},
            {
                "Identifier": "https://a.example",
                "Name": "A",
                "Scopes": [{"ScopeName": "write", "ScopeDescription": "Change"}],
            },
        ],
        "Clients": [
            {"ClientName": "worker", "AllowedOAuthScopes": ["orders/read"], "AccessTokenValidityMinutes": 120},
            {"ClientName": "reporting"},
        ],
        "UserPoolTier": "LITE",
        "ManagedLoginVersion": 1,
        "DeletionProtection": "ACTIVE",
        "SecretNamePrefix": "acme/orders",
        "SecretKmsKeyId": KEY_ARN,
        "SecretRecoveryWindowInDays": 0,
        "RotationDays": 30,
        "RotateSecrets": "2026-11-22",
        "VerifyToken": False,
    }


def test_what_is_not_given_is_left_to_the_provider(stack: Stack) -> None:
    CognitoM2M(stack, "Auth", clients=[ClientProps(client_name="worker")])
    assert properties_of(stack) == {
        "ServiceToken": {"Fn::ImportValue": "cognito-m2m-ServiceToken"},
        "ServiceTimeout": "1200",
        "Clients": [{"ClientName": "worker"}],
    }


def test_the_attributes_are_those_of_the_resource(stack: Stack) -> None:
    auth = CognitoM2M(stack, "Auth", clients=[ClientProps(client_name="worker")])
    id = logical_id(auth)

    def attribute(name: str) -> dict[str, list[str]]:
        return {"Fn::GetAtt": [id, name]}

    expected = [
        (auth.user_pool_id, {"Ref": id}),
        (auth.user_pool.user_pool_id, {"Ref": id}),
        (auth.user_pool_arn, attribute("UserPoolArn")),
        (auth.user_pool_name, attribute("UserPoolName")),
        (auth.issuer, attribute("Issuer")),
        (auth.jwks_uri, attribute("JwksUri")),
        (auth.discovery_url, attribute("DiscoveryUrl")),
        (auth.domain, attribute("Domain")),
        (auth.token_endpoint, attribute("TokenEndpoint")),
        (auth.client_ids, {"Fn::Split": [",", attribute("ClientIds")]}),
        (auth.scopes, {"Fn::Split": [" ", attribute("Scopes")]}),
        (auth.token_verification, attribute("TokenVerification")),
        (auth.client("worker").client_id, attribute("ClientId.worker")),
        (auth.client("worker").secret.secret_arn, attribute("ClientSecretArn.worker")),
    ]
    assert stack.resolve([token for token, _ in expected]) == [template for _, template in expected]


def test_a_role_that_may_read_a_secret_may_read_that_one_alone_and_decrypt_it(stack: Stack) -> None:
    clients = [ClientProps(client_name="worker"), ClientProps(client_name="reporting")]
    auth = CognitoM2M(stack, "Auth", clients=clients, secret_kms_key=kms.Key(stack, "Key"))
    role = iam.Role(stack, "Role", assumed_by=LAMBDA)
    auth.client("worker").secret.grant_read(role)
    template = Template.from_stack(stack)
    statement = {
        "Action": ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"],
        "Effect": "Allow",
        "Resource": {"Fn::GetAtt": [logical_id(auth), "ClientSecretArn.worker"]},
    }
    template.has_resource_properties("AWS::IAM::Policy", {"PolicyDocument": {"Statement": [statement]}})
    decrypt = {"Action": "kms:Decrypt", "Principal": {"AWS": stack.resolve(role.role_arn)}}
    statements = Match.array_with([Match.object_like(decrypt)])
    template.has_resource_properties("AWS::KMS::Key", {"KeyPolicy": {"Statement": statements}})


def test_an_undeclared_client_is_an_error_that_names_the_declared_ones(stack: Stack) -> None:
    auth = CognitoM2M(stack, "Auth", clients=named_clients(2))
    with pytest.raises(ValueError, match="^Stack/Auth has no client 'client-2'; declared are: client-0, client-1$"):
        auth.client("client-2")


def test_with_more_than_ten_clients_nothing_asks_for_an_attribute_that_may_not_be_there(stack: Stack) -> None:
    auth = CognitoM2M(stack, "Auth", clients=named_clients(11))
    id = logical_id(auth)
    client = auth.client("client-10")
    pool_name = {"Fn::GetAtt": [id, "UserPoolName"]}
    assert stack.resolve(client.client_id) == {
        "Fn::Select": [10, {"Fn::Split": [",", {"Fn::GetAtt": [id, "ClientIds"]}]}]
    }
    assert stack.resolve(client.secret_name) == {"Fn::Join": ["", [pool_name, "/client-10"]]}

    client.secret.grant_read(iam.Role(stack, "Role", assumed_by=LAMBDA))
    [policy] = Template.from_stack(stack).find_resources("AWS::IAM::Policy").values()
    [statement] = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Resource"]["Fn::Join"][1][-3:] == [":secret:", pool_name, "/client-10-??????"]


def test_a_secret_with_a_prefix_of_its_own_is_waited_for_too(stack: Stack) -> None:
    auth = CognitoM2M(stack, "Auth", clients=named_clients(1), secret_name_prefix="acme", client_attributes=False)
    ssm.StringParameter(stack, "SecretName", string_value=auth.client("client-0").secret_name)
    prefix = {"Fn::Select": [0, ["acme", {"Ref": logical_id(auth)}]]}
    Template.from_stack(stack).has_resource_properties(
        "AWS::SSM::Parameter", {"Value": {"Fn::Join": ["", [prefix, "/client-0"]]}}
    )


def test_each_partner_gets_a_client_that_may_look_at_orders() -> None:
    stack = OrdersStack(
        App(),
        "orders-dev",
        provider_stack_name="platform",
        environment_name="dev",
        domain_prefix="acme",
        partners=["globex"],
    )
    properties = properties_of(stack)
    assert properties["ServiceToken"] == {"Fn::ImportValue": "platform-ServiceToken"}
    assert {"ClientName": "partner-globex", "AllowedOAuthScopes": ["orders/read"]} in properties["Clients"]
