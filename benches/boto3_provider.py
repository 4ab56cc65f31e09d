"""The same Create as a plain boto3 provider of the usual kind does it: one call after the other, and the answer put
with urllib3 as AWS's cfn-response module does.

It does less than the Rust provider: it does not look at what is there, marks nothing as its own, and checks no token.
`make bench` runs it for comparison; nobody deploys it. The loop at the end is what Lambda's Python runtime does.
"""

import http.client
import json
import os
import traceback

import boto3
import urllib3

# Made once for each process, outside the handler, as AWS recommends.
cognito = boto3.client("cognito-idp")
secretsmanager = boto3.client("secretsmanager")
http_pool = urllib3.PoolManager()


def create(properties):
    environment = properties.get("EnvironmentName", "dev")
    name = f"{properties.get('UserPoolNamePrefix', 'machine-to-machine')}-{environment}"
    prefix = f"{properties.get('DomainPrefix', 'm2m-rubicon')}-{environment}"

    pool = cognito.create_user_pool(
        PoolName=name,
        UserPoolTier="ESSENTIALS",
        DeletionProtection="INACTIVE",
        AdminCreateUserConfig={"AllowAdminCreateUserOnly": True},
        MfaConfiguration="OFF",
        UserPoolTags={"Environment": environment, "Project": "m2m-auth"},
    )["UserPool"]
    cognito.create_user_pool_domain(Domain=prefix, UserPoolId=pool["Id"], ManagedLoginVersion=2)
    cognito.create_resource_server(
        UserPoolId=pool["Id"],
        Identifier="m2m-client",
        Name="m2m-client",
        Scopes=[{"ScopeName": scope, "ScopeDescription": scope} for scope in ("read", "write")],
    )
    client = cognito.create_user_pool_client(
        UserPoolId=pool["Id"],
        ClientName=f"{name}-client",
        GenerateSecret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["m2m-client/read", "m2m-client/write"],
        ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH"],
        AccessTokenValidity=60,
        TokenValidityUnits={"AccessToken": "minutes"},
    )["UserPoolClient"]
    endpoint = f"https://{prefix}.auth.{os.environ['AWS_REGION']}.amazoncognito.com/oauth2/token"
    secret = secretsmanager.create_secret(
        Name=f"{name}/{client['ClientName']}",
        SecretString=json.dumps(
            {"client_id": client["ClientId"], "client_secret": client["ClientSecret"], "token_endpoint": endpoint}
        ),
    )
    return pool["Id"], {
        "UserPoolId": pool["Id"],
        "UserPoolArn": pool["Arn"],
        "ClientId": client["ClientId"],
        "ClientSecretArn": secret["ARN"],
        "TokenEndpoint": endpoint,
    }


def handler(event):
    status, reason, physical_id, data = "SUCCESS", "", event.get("PhysicalResourceId", event["RequestId"]), {}
    try:
        if event["RequestType"] == "Create":
            physical_id, data = create(event["ResourceProperties"])
    except Exception as error:  # whatever it is, CloudFormation must be told
        traceback.print_exc()
        status, reason = "FAILED", str(error)
    body = json.dumps(
        {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": physical_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "NoEcho": False,
            "Data": data,
        }
    )
    headers = {"content-type": "", "content-length": str(len(body))}
    http_pool.request("PUT", event["ResponseURL"], headers=headers, body=body)


def main():
    """Lambda's runtime: ask for an event, handle it, say so."""
    runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation/"
    while True:
        runtime.request("GET", base + "next")
        response = runtime.getresponse()
        request_id = response.getheader("lambda-runtime-aws-request-id")
        handler(json.loads(response.read()))
        runtime.request("POST", f"{base}{request_id}/response", body="null")
        runtime.getresponse().read()


if __name__ == "__main__":
    main()
