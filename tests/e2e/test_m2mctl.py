"""The command line m2mctl in the local cloud: before a deploy, after it, and after somebody's hand in it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cloud import ROOT

M2MCTL = ROOT / "target" / "debug" / "m2mctl"
RESOURCE = {
    "EnvironmentName": "ctl",
    "UserPoolNamePrefix": "orders",
    "DomainPrefix": "orders-m2m",
    "ResourceServers": [{"Identifier": "orders", "Scopes": [{"ScopeName": "read"}, {"ScopeName": "write"}]}],
    "Clients": [{"ClientName": "web-shop"}, {"ClientName": "reporting", "AllowedOAuthScopes": ["orders/read"]}],
}


@pytest.fixture
def m2mctl(cloud):
    if not M2MCTL.exists():
        pytest.exit("m2mctl is not built: run `make test-e2e`, which builds it", returncode=1)

    def run(*arguments, stdin="", **environment):
        return cloud.run(M2MCTL, *arguments, stdin=stdin, seconds=60, **environment)

    return run


def test_a_plan_shows_a_deploy_before_it_and_nothing_after_it(m2mctl, stacks, cloud):
    properties = json.dumps(RESOURCE)
    code, out, err = m2mctl("plan", "--properties", "-", stdin=properties)
    assert (code, err) == (2, "")
    assert "+ CreateUserPool orders-ctl" in out
    assert "Plan: 7 to create, 0 to change, 0 to delete; 2 to verify, with a token each." in out

    stack = stacks("ctl")
    assert stack.deploy(**RESOURCE) == "CREATE_COMPLETE"
    for where in ([], ["--stack", stack.name]):
        code, out, err = m2mctl("plan", "--properties", "-", *where, stdin=properties)
        assert code == 0, out + err
        assert "No changes." in out

    # Somebody takes a scope away by hand.
    cognito = cloud.client("cognito-idp")
    pool = stack.outputs["UserPoolId"]
    client = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=stack.outputs["ClientId0"])["UserPoolClient"]
    cognito.update_user_pool_client(
        UserPoolId=pool,
        ClientId=client["ClientId"],
        AllowedOAuthScopes=["orders/read"],
        **{key: client[key] for key in ("ClientName", "AllowedOAuthFlows", "AllowedOAuthFlowsUserPoolClient")},
    )
    code, out, _ = m2mctl("plan", "--properties", "-", "--stack", stack.name, "--output", "json", stdin=properties)
    assert code == 2
    assert [step["step"] for step in json.loads(out)["steps"] if step["action"] != "verify"] == [
        "UpdateUserPoolClient web-shop: +orders/write"
    ]
    code, out, _ = m2mctl("doctor", "--stack", stack.name)
    assert "differs: UpdateUserPoolClient web-shop: +orders/write" in out


def test_the_project_s_own_template_is_planned_with_the_parameters_of_its_stack(m2mctl, platform):
    template = str(ROOT / "template.yaml")
    code, out, err = m2mctl("plan", "--template", template, "--stack", platform.name)
    assert code == 0, out + err
    change = ["--parameter-overrides", "ProjectTag=another", "AccessTokenValidityMinutes=5"]
    code, out, err = m2mctl("plan", "--template", template, "--stack", platform.name, *change)
    assert code == 2, out + err
    assert "tags +Project" in out and "access token validity 60 -> 5 minutes" in out


def test_a_token_comes_by_stack_by_client_and_by_secret(m2mctl, stacks):
    stack = stacks("ctl-token")
    assert stack.deploy(**RESOURCE | {"EnvironmentName": "ctl-token"}) == "CREATE_COMPLETE"
    code, token, err = m2mctl("token", "--stack", stack.name)
    assert (code, err, token.count(".")) == (0, "", 2)
    code, out, _ = m2mctl("token", "--stack", stack.name, "--client", "reporting", "--decode")
    assert (code, json.loads(out)["scope"]) == (0, "orders/read")
    secret = "orders-ctl-token/web-shop"
    code, out, _ = m2mctl("token", "--secret", secret, "--scope", "orders/write", "--decode")
    assert (code, json.loads(out)["scope"]) == (0, "orders/write")
    code, out, err = m2mctl("token", "--secret", secret, "--scope", "orders/delete")
    assert (code, out) == (1, "")
    assert "invalid_scope" in err


def test_a_doctor_finds_nothing_wrong_with_a_fresh_stack(m2mctl, platform):
    code, out, err = m2mctl("doctor", "--stack", platform.name, "--output", "json")
    findings = json.loads(out)["findings"]
    assert code == 0, out + err
    # The local cloud's credentials are the root's.
    findings = [f for f in findings if f["subject"] != "credentials"]
    assert [f for f in findings if f["severity"] in ("warning", "error")] == []
    assert any(f["subject"].startswith("token of") for f in findings)


def test_a_doctor_says_what_is_in_the_way_of_a_first_deploy(m2mctl, cloud):
    code, out, _ = m2mctl("doctor")
    assert code == 0, out
    assert "domain m2m-rubicon-dev: is free" in out
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="somebody")["UserPool"]["Id"]
    cognito.create_user_pool_domain(UserPoolId=pool, Domain="m2m-rubicon-dev")
    try:
        code, out, _ = m2mctl("doctor")
        assert code == 1
        assert f"belongs to user pool {pool}" in out
    finally:
        cognito.delete_user_pool_domain(UserPoolId=pool, Domain="m2m-rubicon-dev")
        cognito.delete_user_pool(UserPoolId=pool)


def test_without_credentials_it_says_how_to_get_some(m2mctl):
    code, out, _ = m2mctl("doctor", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, HOME=os.devnull)
    assert code == 1
    assert "No credentials were found" in out


def test_the_template_that_adopt_prints_passes_cfn_lint(m2mctl, cloud, tmp_path):
    cognito = cloud.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="from Terraform")["UserPool"]["Id"]
    try:
        scopes = [{"ScopeName": "read", "ScopeDescription": "See"}]
        cognito.create_resource_server(UserPoolId=pool, Identifier="https://api.example.com", Name="Api", Scopes=scopes)
        machine = {
            "UserPoolId": pool,
            "GenerateSecret": True,
            "AllowedOAuthFlows": ["client_credentials"],
            "AllowedOAuthFlowsUserPoolClient": True,
            "AllowedOAuthScopes": ["https://api.example.com/read"],
        }
        for name in ("nightly report", "yes", "web-shop"):
            cognito.create_user_pool_client(ClientName=name, **machine)
        web = machine | {"AllowedOAuthFlows": ["code"], "CallbackURLs": ["https://portal.example.com"]}
        cognito.create_user_pool_client(ClientName="portal", **web)

        code, out, err = m2mctl("adopt", "--user-pool-id", pool, "--stack-prefix", "orders-")
        assert (code, err) == (0, "")
        assert "# - portal (" in out
        template = tmp_path / "clients.yaml"
        template.write_text(out)
        lint = Path(sys.executable).with_name("cfn-lint")
        linted = subprocess.run([lint, template], capture_output=True, text=True, check=False)
        assert linted.returncode == 0, linted.stdout + out
        for name in ("NightlyReport", '"Yes"', "WebShop"):
            assert f"  {name}:\n" in out

        code, out, err = m2mctl("access", "--user-pool-id", pool, "--format", "csv")
        assert (code, err) == (0, "")
        assert out.splitlines()[0].endswith(",https://api.example.com/read")
        assert len(out.splitlines()) == 5
    finally:
        cognito.delete_user_pool(UserPoolId=pool)
