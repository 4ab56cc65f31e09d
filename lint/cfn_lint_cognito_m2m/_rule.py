"""Connects the checks with cfn-lint: finds the resources of a type, and says on which line something is wrong."""

from importlib.resources import files
import json

from cfnlint.rules import CloudFormationLintRule, RuleMatch

from .checks import Checker


class ResourceRule(CloudFormationLintRule):
    """Checks all resources of one type."""

    resource_type = ""
    tags = ["resources", "cognito"]

    def match(self, cfn):
        matches = []
        for name, resource in cfn.get_resources(self.resource_type).items():
            path = ["Resources", name]
            if "Properties" in resource:
                path.append("Properties")
            for place, message in Checker(schema(self.resource_type)).check(resource.get("Properties", {})):
                matches.append(RuleMatch(path + place, message))
        return matches


def schema(resource_type):
    name = resource_type.replace("::", "-") + ".json"
    return json.loads((files(__package__) / "schemas" / name).read_text(encoding="utf-8"))
