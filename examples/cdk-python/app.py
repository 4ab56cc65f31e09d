"""The app that `cdk` runs."""

import aws_cdk as cdk

from orders_stack import OrdersStack

app = cdk.App()


def context(name: str) -> str:
    """A value of cdk.json, or of `cdk deploy --context name=value`, which has precedence."""
    return str(app.node.get_context(name))


environment_name = context("environmentName")
OrdersStack(
    app,
    f"orders-{environment_name}",
    environment_name=environment_name,
    domain_prefix=context("domainPrefix"),
    partners=[partner for partner in context("partners").split(",") if partner],
)
app.synth()
