"""The stack of a team that lets services call its two APIs."""

from collections.abc import Sequence

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from cdk_cognito_m2m import ClientOptions, CognitoM2M, ResourceServerOptions, ScopeOptions
from constructs import Construct


class OrdersStack(Stack):
    """What the team behind orders and invoices deploys: who may call its two APIs, and how the callers find out."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        environment_name: str,
        domain_prefix: str,
        partners: Sequence[str],
    ) -> None:
        """
        :param environment_name: The end of the names of the pool, the domain and the parameters.
        :param domain_prefix: The domain is `<domain_prefix>-<environment_name>`. Domains are unique in a region over
            all AWS accounts.
        :param partners: Other companies that may look at orders. Each gets a client of its own, `partner-<name>`.
        """
        super().__init__(scope, id)

        auth = CognitoM2M(
            self,
            "Auth",
            environment_name=environment_name,
            user_pool_name_prefix="orders",
            domain_prefix=domain_prefix,
            project_tag="orders",
            tags={"Team": "orders"},
            resource_servers=[
                ResourceServerOptions(
                    identifier="orders",
                    name="Orders API",
                    scopes=[
                        ScopeOptions(scope_name="read", scope_description="See orders"),
                        ScopeOptions(scope_name="write", scope_description="Place and change orders"),
                    ],
                ),
                ResourceServerOptions(
                    identifier="invoices",
                    name="Invoices API",
                    scopes=[
                        ScopeOptions(scope_name="read", scope_description="See invoices"),
                        ScopeOptions(scope_name="issue", scope_description="Issue invoices"),
                    ],
                ),
            ],
            clients=[
                ClientOptions(
                    client_name="web-shop",
                    allowed_o_auth_scopes=["orders/read", "orders/write"],
                    access_token_validity=Duration.hours(2),
                ),
                ClientOptions(
                    client_name="billing",
                    allowed_o_auth_scopes=["orders/read", "invoices/read", "invoices/issue"],
                ),
                ClientOptions(
                    client_name="reporting",
                    allowed_o_auth_scopes=["orders/read", "invoices/read"],
                    access_token_validity=Duration.minutes(5),
                ),
                *(
                    ClientOptions(client_name=f"partner-{partner}", allowed_o_auth_scopes=["orders/read"])
                    for partner in partners
                ),
            ],
        )

        # Billing runs as this role. It can read its own credentials and nobody else's.
        billing = iam.Role(self, "BillingRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        auth.client("billing").grant_read(billing)

        # An API finds here whose tokens it takes, and the reporting job who it is. Neither is a secret.
        ssm.StringParameter(
            self,
            "Issuer",
            parameter_name=f"/orders/{environment_name}/issuer",
            string_value=auth.issuer,
        )
        ssm.StringParameter(
            self,
            "ReportingClientId",
            parameter_name=f"/orders/{environment_name}/reporting/client-id",
            string_value=auth.client("reporting").client_id,
        )

        CfnOutput(self, "UserPoolId", value=auth.user_pool_id)
        CfnOutput(self, "TokenEndpoint", value=auth.token_endpoint)
        CfnOutput(self, "WebShopSecretArn", value=auth.client("web-shop").secret.secret_arn)
        CfnOutput(self, "BillingSecretArn", value=auth.client("billing").secret.secret_arn)
        CfnOutput(self, "BillingRoleArn", value=billing.role_arn)
