"""What the app promises its partners."""

import aws_cdk as cdk
from aws_cdk.assertions import Match, Template

from orders_stack import OrdersStack


def test_each_partner_gets_a_client_that_may_look_at_orders() -> None:
    stack = OrdersStack(cdk.App(), "orders-dev", environment_name="dev", domain_prefix="acme", partners=["globex"])
    Template.from_stack(stack).has_resource_properties(
        "Custom::CognitoM2M",
        {
            "DomainPrefix": "acme",
            "Clients": Match.array_with(
                [{"ClientName": "partner-globex", "AllowedOAuthScopes": ["orders/read"]}]
            ),
        },
    )
