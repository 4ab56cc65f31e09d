#!/usr/bin/env python3
"""Writes the parts of the CDK library that follow from the JSON Schemas, which the provider's own table of properties
makes: the typed properties (src/props.ts), and what turns them into the resource's (src/private/render.ts).

Usage: cdk/generate.py [--check]   (--check: writes nothing, and fails if a file is not up to date)
"""

import json
import re
import sys
import textwrap
from pathlib import Path

CDK = Path(__file__).resolve().parent
# The rules of cfn-lint need the same files in their package.
SCHEMAS = CDK.parent / "lint" / "cfn_lint_cognito_m2m" / "schemas"
TYPES = ("CognitoM2M", "CognitoM2MClient", "CognitoM2MResourceServer")
# CloudFormation's own properties. The constructs fill them.
OWN = ("ServiceToken", "ServiceTimeout")
DO_NOT_EDIT = "// Made by `make generate` from the JSON Schemas. Do not edit.\n"
WIDTH = 118

# Where the CDK has a type or the name of a property would mislead.
CDK_ENUMS = {"UserPoolTier": "cognito.FeaturePlan", "ManagedLoginVersion": "cognito.ManagedLoginVersion"}
RENAMED = {"RotationDays": "rotationInterval"}
# Text that names another resource: the end of the property's name, what replaces it, the CDK's type, and its attribute.
REFERENCES = {
    "KmsKeyId": ("KmsKey", "kms.IKey", "keyArn"),
    "UserPoolId": ("UserPool", "cognito.IUserPool", "userPoolId"),
    "CertificateArn": ("Certificate", "acm.ICertificate", "certificateArn"),
}
DURATIONS = {"InDays": "Days", "Days": "Days", "Minutes": "Minutes"}
IMPORTS = {
    "acm.": "import * as acm from 'aws-cdk-lib/aws-certificatemanager';",
    "cognito.": "import * as cognito from 'aws-cdk-lib/aws-cognito';",
    "kms.": "import * as kms from 'aws-cdk-lib/aws-kms';",
    "Duration": "import { Duration } from 'aws-cdk-lib';",
}
ON_OFF = {"ACTIVE", "INACTIVE"}


class Property:
    """A property of the resource, and how users of the CDK write it."""

    def __init__(self, objects, name, schema, required):
        self.cfn = name
        self.required = required
        self.description, self.default = described(schema["description"])
        self.name, self.type, self.value, self.unit = name, "string", "{0}", ""
        self.fit(objects, name, schema)
        self.name = self.name[0].lower() + self.name[1:]

    def fit(self, objects, name, schema):
        values = schema.get("enum", [])
        listed = next((s for s in (schema, *schema.get("anyOf", [])) if s.get("type") == "array"), None)
        if "propertyNames" in schema:
            self.type = "{ [key: string]: string }"
        elif name in CDK_ENUMS:
            self.type = CDK_ENUMS[name]
        elif listed:
            self.fit_list(objects, name, listed["items"])
        elif "properties" in schema:
            self.type = objects.add(name, schema)
            self.value = f"map({{0}}, render{self.type})"
        elif True in values:
            self.type = "boolean"
        elif set(values) == ON_OFF:
            self.type, self.value = "boolean", "onOff({0})"
        elif values:
            self.type = objects.add_enum(name, values)
        elif "integer" in schema.get("type", ()) or any("enum" in s for s in schema.get("anyOf", ())):
            self.fit_number(name)
        else:
            self.fit_reference(name)

    def fit_list(self, objects, name, item):
        if "properties" in item:
            kind = objects.add(name.removesuffix("s"), item)
            self.type, self.value = f"{kind}[]", f"{{0}}?.map(render{kind})"
        else:
            self.type = "string[]"

    def fit_number(self, name):
        unit = next(((end, unit) for end, unit in DURATIONS.items() if name.endswith(end)), None)
        if unit is None:
            self.type = "number"
            return
        self.name = RENAMED.get(name, name.removesuffix(unit[0]))
        self.type, self.value, self.unit = "Duration", f"{{0}}?.to{unit[1]}()", unit[1].lower()

    def fit_reference(self, name):
        for end, (instead, kind, attribute) in REFERENCES.items():
            if name.endswith(end):
                self.name = name.removesuffix(end) + instead
                self.type, self.value = kind, f"{{0}}?.{attribute}"

    def declaration(self):
        unit = f" A duration in whole {self.unit}." if self.unit else ""
        lines = wrapped((self.description + unit).replace("*/", "* /"))
        default = self.default or (None if self.required else "none")
        if default:
            lines += ["", *wrapped(f"@default - {default} {self.unit}".strip())]
        comment = "".join(f"   * {line}".rstrip() + "\n" for line in lines)
        return f"  /**\n{comment}   */\n  readonly {self.name}{'' if self.required else '?'}: {self.type};\n"

    def rendering(self):
        value = self.value.format(f"props.{self.name}")
        return f"    {self.cfn}: {value.replace('?.', '.', 1) if self.required else value},\n"


class Objects:
    """The objects and enumerations of all schemas, each once, in the order that TypeScript needs."""

    def __init__(self):
        self.declarations = {}
        self.renderings = {}

    def add(self, name, schema, suffix="Options"):
        kind = f"{name}{suffix}"
        required = schema.get("required", ())
        known = [(n, s) for n, s in schema["properties"].items() if n not in OWN]
        # Required ones first, as people write them.
        known.sort(key=lambda entry: (entry[0] not in required, entry[0]))
        properties = [Property(self, n, s, n in required) for n, s in known]
        summary = f"Describes one {words_of(name)}."
        if suffix == "Properties":
            summary = schema["description"].split(" These are the properties")[0]
        head = "".join(f" * {line}\n" for line in wrapped(summary))
        body = "\n".join(p.declaration() for p in properties)
        self.keep(kind, f"/**\n{head} */\nexport interface {kind} {{\n{body}}}\n")
        body = "".join(p.rendering() for p in properties)
        self.renderings[kind] = f"export function render{kind}(props: p.{kind}) {{\n  return {{\n{body}  }};\n}}\n"
        return kind

    def add_enum(self, name, values):
        known = [(value, re.sub(r"[^A-Z0-9]", "_", value.upper())) for value in values]
        members = "".join(f"  /** `{value}` */\n  {member} = '{value}',\n" for value, member in known)
        self.keep(name, f"/** What the property of this name may be. */\nexport enum {name} {{\n{members}}}\n")
        return name

    def keep(self, name, text):
        if self.declarations.setdefault(name, text) != text:
            raise SystemExit(f"cdk/generate.py: two resource types describe {name} differently")


def described(text):
    """The description of a property with its rule, and its default in words."""
    description, _, default = text.partition(" Default: ")
    return description, default.removesuffix(".")


def words_of(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def wrapped(text):
    return textwrap.wrap(text, WIDTH - 6, break_on_hyphens=False)


def imports(text):
    return "".join(line + "\n" for used, line in IMPORTS.items() if re.search(rf"\b{re.escape(used)}", text))


def files():
    objects = Objects()
    for name in TYPES:
        objects.add(name, json.loads((SCHEMAS / f"Custom-{name}.json").read_text()), "Properties")
    declarations = "\n".join(objects.declarations.values())
    renderings = "\n".join(objects.renderings.values())
    helpers = (
        "function onOff(flag?: boolean) {\n  return flag === undefined ? undefined : flag ? 'ACTIVE' : 'INACTIVE';\n}\n"
        + (
            "\nfunction map<T, R>(value: T | undefined, render: (value: T) => R): R | undefined {\n"
            "  return value === undefined ? undefined : render(value);\n}\n"
            if "map(" in renderings.replace("?.map(", "").replace(".map(", "")
            else ""
        )
    )
    return {
        CDK / "src" / "props.ts": f"{DO_NOT_EDIT}{imports(declarations)}\n{declarations}",
        CDK / "src" / "private" / "render.ts": f"{DO_NOT_EDIT}import * as p from '../props';\n\n{helpers}\n{renderings}",
    }


def main():
    check = "--check" in sys.argv
    for path, text in files().items():
        if check and (not path.exists() or path.read_text() != text):
            raise SystemExit(f"{path.relative_to(CDK.parent)} is not up to date: run `make generate`")
        if not check:
            path.write_text(text)


if __name__ == "__main__":
    main()
