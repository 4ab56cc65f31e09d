"""Rules of cfn-lint for the resources of cognito-m2m: `cfn-lint --append-rules cfn_lint_cognito_m2m`."""

from . import _rule

# cfn-lint makes an instance of each rule that is a member of this module. Rules of users begin with E9; cfn-lint's own
# rules for resources begin with E3.


class CognitoM2M(_rule.ResourceRule):
    id = "E9301"
    resource_type = "Custom::CognitoM2M"
    shortdesc = "The properties of Custom::CognitoM2M are valid"
    description = "Refuses what the provider would refuse during a deployment"


class CognitoM2MClient(_rule.ResourceRule):
    id = "E9302"
    resource_type = "Custom::CognitoM2MClient"
    shortdesc = "The properties of Custom::CognitoM2MClient are valid"
    description = "Refuses what the provider would refuse during a deployment"


class CognitoM2MResourceServer(_rule.ResourceRule):
    id = "E9303"
    resource_type = "Custom::CognitoM2MResourceServer"
    shortdesc = "The properties of Custom::CognitoM2MResourceServer are valid"
    description = "Refuses what the provider would refuse during a deployment"
