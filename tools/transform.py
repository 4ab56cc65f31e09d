#!/usr/bin/env python3
"""Prints template.yaml as plain CloudFormation in JSON: without the SAM macro, and with the code in a bucket.

Usage: .tools/sam/bin/python tools/transform.py >template.json

Stack sets with service-managed permissions do not support macros
(https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html, Capabilities). So this
expands the macro as CloudFormation does. The functions take their code from one bucket for each region,
`<CodeBucketPrefix>-<region>`: Lambda reads code only from a bucket of its own region, and one set of parameters serves
all regions of a stack set.
"""

import json
import os
import sys
from pathlib import Path

# The translator makes a session to learn the partition. It sends nothing, but it wants a region. This one stands for
# the partition `aws`; nothing in the result depends on it, because template.yaml writes ${AWS::Partition}.
os.environ["AWS_DEFAULT_REGION"] = "us-east-1"

from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = Path(__file__).resolve().parent.parent / "template.yaml"
REPOSITORY_METADATA = "AWS::ServerlessRepo::Application"
# What only `sam build` and `sam package` read.
BUILD_METADATA = {"BuildMethod", "BuildProperties", "SamResourceId"}


class NoManagedPolicies:
    """Stands for the list of AWS's managed policies, which SAM needs only for roles that it makes itself."""

    def load(self):
        return {}


def code_parameters(version):
    return {
        "CodeBucketPrefix": {
            "Type": "String",
            "MinLength": 3,
            "AllowedPattern": "^[a-z0-9][a-z0-9.-]*$",
            "Description": "The bucket <CodeBucketPrefix>-<region> holds the zip files of the release.",
        },
        "CodeKeyPrefix": {
            "Type": "String",
            "Default": f"cognito-m2m/{version}/",
            "Description": "The keys of the zip files start with this, up to the slash at its end.",
        },
    }


def code_in_bucket(binary):
    """Returns the place of a function's zip file, which has the name that the release gives it."""
    return {
        "Bucket": {"Fn::Sub": "${CodeBucketPrefix}-${AWS::Region}"},
        "Key": {"Fn::Sub": f"${{CodeKeyPrefix}}{binary}-${{Architecture}}.zip"},
    }


def plain(template):
    """Returns the template without the macro."""
    metadata = template["Metadata"]
    version = metadata.pop(REPOSITORY_METADATA)["SemanticVersion"]
    parameters = code_parameters(version)
    template["Parameters"].update(parameters)
    groups = metadata["AWS::CloudFormation::Interface"]["ParameterGroups"]
    groups.insert(0, {"Label": {"default": "Code of the functions"}, "Parameters": list(parameters)})
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            binary = resource["Metadata"]["BuildProperties"]["Binary"]
            resource["Properties"]["CodeUri"] = code_in_bucket(binary)
    result = transform(template, {}, NoManagedPolicies())
    for resource in result["Resources"].values():
        kept = {name: value for name, value in resource.pop("Metadata", {}).items() if name not in BUILD_METADATA}
        if kept:
            resource["Metadata"] = kept
    return result


def main():
    json.dump(plain(yaml_parse(TEMPLATE.read_text())), sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
