"""The rules of cfn-lint in lint/, on the parser's own tables of good and bad properties and on the examples."""

import json
import os
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINT = ROOT / "lint"
sys.path.insert(0, str(LINT))

from cfn_lint_cognito_m2m import CognitoM2M, CognitoM2MClient, CognitoM2MResourceServer  # noqa: E402
from cfnlint.api import lint  # noqa: E402
from cfnlint.config import ManualArgs  # noqa: E402
from cfnlint.core import get_rules  # noqa: E402

RULES = {rule.resource_type: rule.id for rule in (CognitoM2M, CognitoM2MClient, CognitoM2MResourceServer)}
CASES = json.loads((ROOT / "tests/tools/lint_cases.json").read_text(encoding="utf-8"))
POOL, CLIENT, SERVER = CASES
TEMPLATES = [ROOT / "template.yaml", *sorted(ROOT.glob("examples/*.yaml")), *sorted(ROOT.glob("examples/*/template.yaml"))]

# What only a deployment knows, by the beginning of the parser's message.
BEYOND = ("must be in the partition ", "needs SecretKmsKeyId ", "must be another region ", "must begin with arn:aws:acm:")


@cache
def rules():
    """Returns cfn-lint's rules and these; to load them takes a second."""
    return get_rules(["cfn_lint_cognito_m2m"], [], [])


def findings(text):
    """Returns the line and the message of each finding of these rules, as cfn-lint has them."""
    matches = lint(text, rules=rules(), config=ManualArgs(regions=["us-east-1"]))
    crashes = [match.message for match in matches if match.rule.id in ("E0000", "E0001", "E0002")]
    assert not crashes, crashes
    return sorted((match.linenumber, match.message) for match in matches if match.rule.id in RULES.values())


def messages(resource_type, properties):
    """Returns what the rule says about the properties of a resource, without cfn-lint's parser of templates."""
    from cfn_lint_cognito_m2m import _rule
    from cfn_lint_cognito_m2m.checks import Checker

    return sorted(message for _, message in Checker(_rule.schema(resource_type)).check(properties))


def resource(yaml, resource_type=POOL):
    """Returns a template with one resource."""
    lines = "".join(f"      {line}\n" for line in yaml.strip("\n").splitlines())
    return (
        "Parameters:\n  Name: {Type: String}\nConditions:\n  Prod: !Equals [!Ref Name, prod]\nResources:\n"
        f"  Auth:\n    Type: {resource_type}\n    Properties:\n{lines}"
    )


def cases(kind):
    return [(resource_type, case) for resource_type, sets in CASES.items() for case in sets[kind]]


def is_beyond(case):
    """Tells whether only a deployment knows what is wrong, or the properties have a function in the template."""
    (path, rule), *_ = case["violations"]
    default_client = path == "SecretNamePrefix" and "Clients" not in case["properties"] and rule.startswith("the secret's name")
    return rule.startswith(BEYOND) or default_client or case["properties"] == {"DomainPrefix": {"Ref": "x"}}


def test_what_the_parser_refuses_the_rule_refuses_with_the_same_path_and_words():
    beyond = 0
    for resource_type, case in cases("wrong"):
        said = [f"{path}: {rule}" for path, rule in case["violations"]]
        if is_beyond(case):
            beyond += 1
            assert messages(resource_type, case["properties"]) == []
        else:
            assert messages(resource_type, case["properties"]) == sorted(said), case["properties"]
    assert len(cases("wrong")) > 250 and beyond < 10


def test_what_depends_on_a_refused_property_is_checked_with_its_default():
    assert messages(POOL, {"EnvironmentName": "Prod", "DomainPrefix": "my-aws"}) == [
        'DomainPrefix: the domain must not contain the word aws, which Cognito reserves, but is "my-aws-dev"',
        'EnvironmentName: must be 1 to 32 characters matching [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?, but is "Prod"',
    ]
    # The default of TokenService has a domain, and the default of UserPoolTier allows any version.
    found = messages(POOL, {"TokenService": "NONE", "UserPoolTier": "LITE"})
    assert [message.split(":")[0] for message in found] == ["ManagedLoginVersion", "TokenService"]
    found = messages(POOL, {"UserPoolTier": "GOLD", "ManagedLoginVersion": 2})
    assert [message.split(":")[0] for message in found] == ["UserPoolTier"]


def test_all_broken_names_are_reported():
    found = messages(POOL, {"DomainPrefix": f"aws-{'a' * 57}", "EnvironmentName": "cognito"})
    assert [message.split(",")[0] for message in found] == [
        "DomainPrefix: the domain must have at most 63 characters",
        "DomainPrefix: the domain must not contain the word aws",
        "DomainPrefix: the domain must not contain the word cognito",
    ]
    # All three names are too long, and the first two look alike in a message.
    clients = [{"ClientName": name} for name in ("aa", "bb", "aab")]
    found = messages(POOL, {"SecretNamePrefix": "s" * 510, "Clients": clients})
    assert [message[-4:] for message in found] == [" 513", " 514"]
    # The default client's name contains the pool's name, which is too long by itself.
    found = messages(POOL, {"UserPoolNamePrefix": "a b" * 42})
    assert [message.split(":")[0] for message in found] == ["SecretNamePrefix", "UserPoolNamePrefix"]
    found = messages(POOL, {"UserPoolNamePrefix": "a b"})
    assert [message.split(":")[0] for message in found] == ["Clients", "SecretNamePrefix"]


def test_a_scope_that_is_there_twice_must_be_declared_too():
    scopes = ["m2m-client/read", "other/read", "other/read"]
    found = messages(POOL, {"Clients": [{"ClientName": "one", "AllowedOAuthScopes": scopes}]})
    assert [message.split(" in ")[0] for message in found] == [
        "Clients[0].AllowedOAuthScopes[1]: must be a scope declared",
        "Clients[0].AllowedOAuthScopes[2]: must be a scope declared",
        "Clients[0].AllowedOAuthScopes[2]: must be unique",
    ]


def test_what_the_parser_accepts_the_rule_accepts():
    assert len(cases("right")) >= 30
    for resource_type, case in cases("right"):
        assert case["violations"] == []
        assert messages(resource_type, case["properties"]) == []


@pytest.mark.parametrize("kind", ["wrong", "right"])
def test_cfn_lint_reports_the_same_from_a_json_template(kind):
    # Each case is a resource of one template. cfn-lint itself refuses null and keys that are empty.
    resources, expected = {}, []
    for number, (resource_type, case) in enumerate(cases(kind)):
        properties = case["properties"]
        text = json.dumps(properties)
        if not isinstance(properties, dict) or "null" in text or '"":' in text or "\\u0000" in text:
            continue
        resources[f"R{number}"] = {"Type": resource_type, "Properties": properties}
        if kind == "wrong" and not is_beyond(case):
            expected.extend(f"{path}: {rule}" for path, rule in case["violations"])
    assert len(resources) > 25
    found = findings(json.dumps({"Resources": resources}, indent=1, ensure_ascii=False))
    assert sorted(message for _, message in found) == sorted(expected)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_have_no_finding(template):
    assert findings(template.read_text(encoding="utf-8")) == []


WRONG = """
EnvironmentName: Dev
ResourceServers:
  - Identifier: api
    Scopes:
      - ScopeName: read
      - ScopeName: read
Clients:
  - ClientName: one
  - ClientName: two
    AllowedOAuthScopes:
      - api/read
      - api/write
UserPoolTier: LITE
Nonsense: 1
"""


def test_each_finding_has_the_line_of_its_entry():
    lines = resource(WRONG).splitlines()
    found = [(lines[line - 1].strip(), message.split(":")[0]) for line, message in findings(resource(WRONG))]
    assert found == [
        # What is absent has no line of its own: it is that of the properties.
        ("Properties:", "ManagedLoginVersion"),
        ("EnvironmentName: Dev", "EnvironmentName"),
        ("- ScopeName: read", "ResourceServers[0].Scopes[1].ScopeName"),
        ("- api/write", "Clients[1].AllowedOAuthScopes[1]"),
        ("Nonsense: 1", "Nonsense"),
    ]


def test_the_lines_are_right_also_behind_the_sam_transform():
    template = "Transform: AWS::Serverless-2016-10-31\n" + resource(WRONG)
    lines = template.splitlines()
    found = {(lines[line - 1].strip(), message.split(":")[0]) for line, message in findings(template)}
    assert ("- api/write", "Clients[1].AllowedOAuthScopes[1]") in found and len(found) == 5


def test_a_resource_without_properties_misses_those_that_are_required():
    found = findings(f"Resources:\n  Client:\n    Type: {CLIENT}\n")
    assert [message.split(":")[0] for _, message in found] == ["AllowedOAuthScopes", "ClientName", "UserPoolId"]


@pytest.mark.parametrize(
    "yaml",
    [
        "EnvironmentName: !Ref Name",
        "EnvironmentName: !Sub '${Name}-UP'",
        "EnvironmentName: !If [Prod, prod, !Ref AWS::NoValue]",
        "EnvironmentName: '{{resolve:ssm:/Env}}'",
        "RotationDays: !If [Prod, '30', 0]\nVerifyToken: 'true'\nServiceToken: !ImportValue x\nServiceTimeout: 60",
        "Tags: !Split [',', !Ref Name]",
        "Tags: [!Sub 'a=${Name}', b=c]",
        "Tags: {a: !Ref Name, b: !If [Prod, c, !Ref AWS::NoValue]}",
        "Clients: [!If [Prod, {ClientName: a}, !Ref AWS::NoValue], {ClientName: a}]",
        "Clients: [{ClientName: !Ref Name}, {ClientName: !Ref Name}]",
        "Clients: [{ClientName: a, AllowedOAuthScopes: [!Sub '${Name}/read', m2m-client/read]}]",
        "Clients: [{ClientName: a, AllowedOAuthScopes: [x/y]}]\nResourceServers: [{Identifier: !Ref Name, Scopes: [{ScopeName: y}]}]",
        "Clients: [{ClientName: a, AllowedOAuthScopes: [x/y]}]\nResourceServers: !If [Prod, [{Identifier: x, Scopes: [{ScopeName: y}]}], !Ref AWS::NoValue]",
        "UserPoolTier: !If [Prod, PLUS, LITE]\nManagedLoginVersion: !If [Prod, 2, 1]",
        "UserPoolTier: LITE\nManagedLoginVersion: !Ref Name",
        "UserPoolNamePrefix: a b\nSecretNamePrefix: !Ref Name\nClients: !If [Prod, [{ClientName: a}], [{ClientName: b}]]",
        "Fn::Transform: {Name: AWS::Include, Parameters: {Location: s3://a/b}}\nUserPoolTier: LITE",
        "SecretReplicas: !If [Prod, [{Region: eu-west-1}], []]",
        "RotateSecrets: 2026-04-01",
        "TokenService: !Ref Name\nUserPoolTier: LITE",
        "TokenService: API\nCustomDomain: !If [Prod, !Ref Name, !Ref AWS::NoValue]",
        "Tags: {7: a, b: 8}",
    ],
)
def test_a_function_is_accepted_wherever_cloudformation_resolves_it(yaml):
    assert findings(resource(yaml)) == []


@pytest.mark.parametrize(
    ("yaml", "path", "line"),
    [
        ("EnvironmentName: !If [Prod, prod, Dev]", "EnvironmentName", "EnvironmentName"),
        ("EnvironmentName:\n  Fn::If:\n    - Prod\n    - prod\n    - Dev", "EnvironmentName", "- Dev"),
        ("Tags:\n  - !Ref Name\n  - nonsense", "Tags[1]", "- nonsense"),
        ("DomainPrefix: aws\nEnvironmentName: !Ref Name", "DomainPrefix", "DomainPrefix"),
        ("EnvironmentName: x-aws", "DomainPrefix", "EnvironmentName"),
        ("RotationDays: 60.0", "RotationDays", "RotationDays"),
        ("UserPoolTier: LITE\nManagedLoginVersion: !Ref AWS::NoValue", "ManagedLoginVersion", "Properties"),
        ("Clients:\n  - !If\n    - Prod\n    - ClientName: a b\n    - ClientName: c", "Clients[0].ClientName", "- ClientName: a b"),
        ("Clients: !Ref Name\nUserPoolTier: !If [Prod, GOLD, LITE]", "UserPoolTier", "UserPoolTier"),
        ("EnvironmentName: !If [Prod, p, Dev]\nDomainPrefix: '%s'" % ("a" * 61), "EnvironmentName", "EnvironmentName"),
    ],
)
def test_a_literal_beside_a_function_is_checked(yaml, path, line):
    template = resource(yaml)
    ((number, message),) = findings(template)
    assert message.startswith(path + ": ")
    assert template.splitlines()[number - 1].strip().startswith(line)


def test_the_command_line_takes_the_rules_from_a_configuration_file(tmp_path):
    (tmp_path / ".cfnlintrc").write_text("append_rules:\n  - cfn_lint_cognito_m2m\n", encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text(resource("EnvironmentName: Dev"), encoding="utf-8")
    command = [Path(sys.executable).parent / "cfn-lint", "--format", "parseable", "wrong.yaml"]
    run = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(LINT)}, capture_output=True, text=True)
    # The second bit says that there is an error; a template this small has warnings, too.
    assert run.returncode & 2, run
    assert ":E9301:EnvironmentName: must be 1 to 32 characters matching " in run.stdout


def test_the_package_has_the_version_and_the_license_of_the_crate():
    package = tomllib.loads((LINT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    crate = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    assert (package["version"], package["license"]) == (crate["version"], crate["license"])
    assert (LINT / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert f"-{package['version']}-py3" in (LINT / "README.md").read_text(encoding="utf-8")
