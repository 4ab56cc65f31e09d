"""A typed construct for the CloudFormation resource `Custom::CognitoM2M`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, CustomResource, Duration, Fn, Stack
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct


@dataclass(frozen=True, kw_only=True)
class ScopeProps:
    """One scope of a resource server. A client's tokens carry it as `identifier/scope_name`."""

    scope_name: str
    """1 to 256 printable ASCII characters, without spaces, `"`, `\\` and `/`; unique in its server."""

    scope_description: str | None = None
    """1 to 256 characters. Default: the scope's name."""


@dataclass(frozen=True, kw_only=True)
class ResourceServerProps:
    """One API that tokens are for."""

    identifier: str
    """1 to 256 printable ASCII characters, without spaces, `"` and `\\`; unique in the pool."""

    name: str | None = None
    """1 to 256 letters, digits, white space and `_+=,.@-`. Required where the identifier holds anything else, as a
    URL does. Default: the identifier."""

    scopes: Sequence[ScopeProps]
    """1 to 100 scopes."""


@dataclass(frozen=True, kw_only=True)
class ClientProps:
    """One service that gets tokens: an app client, and a secret with its credentials."""

    client_name: str
    """1 to 128 of `A-Za-z0-9_+=.@-`; unique in the pool. A client is known by its name: a changed name is a new client
    with new credentials, and the end of the old one."""

    allowed_oauth_scopes: Sequence[str] | None = None
    """1 to 50 scopes, each written `identifier/scope_name` and declared in `resource_servers`. Default: all declared
    scopes."""

    access_token_validity: Duration | None = None
    """How long a token is good for: 5 minutes to 24 hours, in whole minutes. Default: `Duration.minutes(60)`."""


@dataclass(frozen=True, kw_only=True)
class Client:
    """What other constructs need of a client. A construct that uses any of it waits until the client is there."""

    client_id: str
    """The id of the app client."""

    secret_name: str
    """The name of the secret, to read it by. `secret.secret_name` is no substitute: it is cut out of the ARN, and may
    have the random suffix of the ARN at its end."""

    secret: secretsmanager.ISecret
    """The secret with the credentials. `secret.grant_read(role)` lets a role read it. If `secret_kms_key` is a key that
    this app makes, the key's policy then lets the role decrypt; an imported key needs `key.grant_decrypt(role)` too.

    Its value is JSON with the keys `client_id`, `client_secret`, `token_endpoint`, `scope`, `issuer`, `jwks_uri`,
    `user_pool_id` and `client_name`. Read it at run time: `secret_value_from_json("client_secret")` would copy the
    client secret into another resource, where no rotation reaches it.

    Without `client_attributes` its ARN lacks the random suffix. That is good for `grant_read`; but Secrets Manager
    takes the end of a name such as `web-worker` for that suffix, so read the secret by `secret_name`."""


# How many clients' attributes fit for sure, with names of usual length.
CLIENTS_WITH_ATTRIBUTES = 10

# The provider works for at most five minutes on one event, and Lambda tries three times: after 20 minutes nobody is
# going to answer. CloudFormation would wait for an hour.
SERVICE_TIMEOUT_MINUTES = 20


class CognitoM2M(Construct):
    """A machine-to-machine stack in Amazon Cognito as one CloudFormation resource: a user pool, its domain, its
    resource servers, its app clients, and a secret for each client.

    The provider reports everything that is wrong with the properties at once, before it changes anything. Keep the
    construct's id and its place in the tree: they make the logical id, and another logical id is another pool, whose
    domain and secrets would have names that are taken.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        clients: Sequence[ClientProps],
        service_token: str | None = None,
        environment_name: str | None = None,
        user_pool_name_prefix: str | None = None,
        domain_prefix: str | None = None,
        project_tag: str | None = None,
        tags: Mapping[str, str] | None = None,
        resource_servers: Sequence[ResourceServerProps] | None = None,
        user_pool_tier: cognito.FeaturePlan | None = None,
        managed_login_version: cognito.ManagedLoginVersion | None = None,
        deletion_protection: bool | None = None,
        secret_name_prefix: str | None = None,
        secret_kms_key: kms.IKey | None = None,
        secret_recovery_window: Duration | None = None,
        rotation_interval: Duration | None = None,
        rotate_secrets: str | None = None,
        verify_token: bool | None = None,
        client_attributes: bool | None = None,
    ) -> None:
        """Every property can be changed in place: the user pool and its id stay.

        :param clients: 1 to 100 clients. The resource makes one by itself where none is declared; the construct wants
            to know the names, so that `client()` can tell a wrong one.
        :param service_token: The ARN of the provider function. Default: the export of a provider that was deployed
            under the stack name `cognito-m2m`.
        :param environment_name: The end of the pool's name and of the domain: 1 to 32 lower-case letters, digits and
            hyphens, with no hyphen at either end. Default: `dev`.
        :param user_pool_name_prefix: The pool's name is `<user_pool_name_prefix>-<environment_name>`: 1 to 128 letters,
            digits, white space and `_+=,.@-`. Default: `machine-to-machine`.
        :param domain_prefix: The domain is `<domain_prefix>-<environment_name>`: 1 to 63 lower-case letters, digits and
            hyphens, with no hyphen at either end. None of the words between its hyphens may be `aws`, `amazon` or
            `cognito`. Domains are unique in a region over all AWS accounts, so choose your own. While the domain
            changes, nobody gets a token. Default: `m2m-rubicon`.
        :param project_tag: The value of the tag `Project`: at most 256 letters, digits, spaces and `_.:/=+-@`.
            Default: `m2m-auth`.
        :param tags: At most 45 more tags for the pool and its secrets. `Tags.of(...)` does not reach them, because
            CloudFormation tags no custom resource. Default: none.
        :param resource_servers: 1 to 25 resource servers. Default: one server `m2m-client` with the scopes `read` and
            `write`.
        :param user_pool_tier: Cognito's feature plan. Default: `FeaturePlan.ESSENTIALS`.
        :param managed_login_version: `NEWER_MANAGED_LOGIN` needs a tier other than `LITE`. Default:
            `ManagedLoginVersion.NEWER_MANAGED_LOGIN`.
        :param deletion_protection: Whether the pool is protected. While it is, a deletion of the stack fails and
            removes nothing; so does the rollback of a first deployment, so turn this on in the second one.
            Default: `False`.
        :param secret_name_prefix: A secret's name is `<secret_name_prefix>/<client_name>`: at most 512 of
            `A-Za-z0-9/_+=.@-`. A changed name is a new secret with the same credentials and a new ARN. Default: the
            pool's name.
        :param secret_kms_key: The key that encrypts the secrets. The provider must be allowed to use it: by its stack's
            parameter `SecretKmsKeyArns`, and by the key's own policy. Default: the AWS managed key
            `aws/secretsmanager`.
        :param secret_recovery_window: How long a deleted secret can be restored: 7 to 30 days, or `Duration.days(0)`,
            which deletes it at once. Default: `Duration.days(7)`.
        :param rotation_interval: How often Secrets Manager gives each client a new secret: 1 to 1,000 days, or
            `Duration.days(0)`, which is never. Default: `Duration.days(0)`.
        :param rotate_secrets: A date or a serial number, at most 128 characters. In an update, a value other than the
            present one and the one before it gives each client a new secret once, now. Default: none.
        :param verify_token: Whether the provider gets a token for each new or changed client and checks it. AWS bills
            these tokens. Default: `True`.
        :param client_attributes: Whether the resource has attributes for each client, from which `client()` takes ids
            and ARNs. CloudFormation takes 4,096 bytes of attributes, which is about a dozen clients; the resource
            leaves out those of all clients where they do not fit, and then a stack that asks for one fails. With
            `False` the construct does without: it takes a client's id from the list of all ids, and knows a secret by
            its name. Set it to `False` for names so long that the attributes of ten clients do not fit, or to keep
            templates as they are when the eleventh client comes. Default: `True` for up to ten clients.
        """
        super().__init__(scope, id)
        self._secret_name_prefix = secret_name_prefix
        self._secret_kms_key = secret_kms_key
        self._has_client_attributes = (
            len(clients) <= CLIENTS_WITH_ATTRIBUTES if client_attributes is None else client_attributes
        )

        self.resource = CustomResource(
            self,
            "Resource",
            resource_type="Custom::CognitoM2M",
            service_token=service_token or Fn.import_value("cognito-m2m-ServiceToken"),
            service_timeout=Duration.minutes(SERVICE_TIMEOUT_MINUTES),
            # What is None is left out of the template, and the provider's default counts.
            properties=_given(
                EnvironmentName=environment_name,
                UserPoolNamePrefix=user_pool_name_prefix,
                DomainPrefix=domain_prefix,
                ProjectTag=project_tag,
                Tags=tags and dict(tags),
                ResourceServers=resource_servers and [_resource_server(server) for server in resource_servers],
                Clients=[_client(client) for client in clients],
                UserPoolTier=user_pool_tier,
                ManagedLoginVersion=managed_login_version,
                DeletionProtection={None: None, True: "ACTIVE", False: "INACTIVE"}[deletion_protection],
                SecretNamePrefix=secret_name_prefix,
                SecretKmsKeyId=secret_kms_key and secret_kms_key.key_arn,
                SecretRecoveryWindowInDays=secret_recovery_window and secret_recovery_window.to_days(),
                RotationDays=rotation_interval and rotation_interval.to_days(),
                RotateSecrets=rotate_secrets,
                VerifyToken=verify_token,
            ),
        )
        """The custom resource. Its `ref` is the user pool's id."""

        self.user_pool = cognito.UserPool.from_user_pool_id(self, "UserPool", self.user_pool_id)
        """The user pool, for constructs that want one, such as an authorizer."""

        self._clients = {
            client.client_name: self._describe(client.client_name, index) for index, client in enumerate(clients)
        }

    def client(self, client_name: str) -> Client:
        """What other constructs need of a client. Raises an error where no client of that name is declared."""
        if client_name not in self._clients:
            declared = ", ".join(self._clients)
            raise ValueError(f"{self.node.path} has no client {client_name!r}; declared are: {declared}")
        return self._clients[client_name]

    def _describe(self, client_name: str, index: int) -> Client:
        # A prefix that is just a text would let CloudFormation make a consumer before the secret is there. So it is
        # taken from a list with the pool's id in it: CloudFormation has to wait for that.
        prefix = (
            self.user_pool_name
            if self._secret_name_prefix is None
            else Fn.select(0, [self._secret_name_prefix, self.user_pool_id])
        )
        secret_name = f"{prefix}/{client_name}"
        if self._has_client_attributes:
            client_id = self._attribute(f"ClientId.{client_name}")
            arn = {"secret_complete_arn": self._attribute(f"ClientSecretArn.{client_name}")}
        else:
            client_id = Fn.select(index, self.client_ids)
            arn = {"secret_partial_arn": self._partial_arn(secret_name)}
        secret = secretsmanager.Secret.from_secret_attributes(
            self, f"Secret-{client_name}", encryption_key=self._secret_kms_key, **arn
        )
        return Client(client_id=client_id, secret_name=secret_name, secret=secret)

    def _partial_arn(self, secret_name: str) -> str:
        return Stack.of(self).format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=secret_name,
            arn_format=ArnFormat.COLON_RESOURCE_NAME,
        )

    def _attribute(self, name: str) -> str:
        return self.resource.get_att_string(name)

    @property
    def user_pool_id(self) -> str:
        """The id of the user pool. It does not change while the resource lives."""
        return self.resource.ref

    @property
    def user_pool_arn(self) -> str:
        """The ARN of the user pool."""
        return self._attribute("UserPoolArn")

    @property
    def user_pool_name(self) -> str:
        """The name of the user pool, by default also the prefix of the secrets' names."""
        return self._attribute("UserPoolName")

    @property
    def issuer(self) -> str:
        """The `iss` of the tokens: `https://cognito-idp.<region>.amazonaws.com/<user_pool_id>`."""
        return self._attribute("Issuer")

    @property
    def jwks_uri(self) -> str:
        """Where the keys are that the tokens are signed with."""
        return self._attribute("JwksUri")

    @property
    def discovery_url(self) -> str:
        """The OpenID Connect discovery document, which Amazon Bedrock AgentCore and other JWT authorizers ask for."""
        return self._attribute("DiscoveryUrl")

    @property
    def domain(self) -> str:
        """The host of the token endpoint, such as `m2m-rubicon-dev.auth.us-east-1.amazoncognito.com`."""
        return self._attribute("Domain")

    @property
    def token_endpoint(self) -> str:
        """Where a client gets its tokens: `https://<domain>/oauth2/token`."""
        return self._attribute("TokenEndpoint")

    @property
    def client_ids(self) -> list[str]:
        """The ids of all clients in the order of `clients`: the audience list of a JWT authorizer."""
        return Fn.split(",", self._attribute("ClientIds"))

    @property
    def scopes(self) -> list[str]:
        """Every declared scope, written `identifier/scope_name`."""
        return Fn.split(" ", self._attribute("Scopes"))

    @property
    def token_verification(self) -> str:
        """`verified`, `unreachable` or `skipped`, the last one also where nothing needed a check."""
        return self._attribute("TokenVerification")


def _resource_server(server: ResourceServerProps) -> dict[str, Any]:
    scopes = [
        _given(ScopeName=scope.scope_name, ScopeDescription=scope.scope_description) for scope in server.scopes
    ]
    return _given(Identifier=server.identifier, Name=server.name, Scopes=scopes)


def _client(client: ClientProps) -> dict[str, Any]:
    return _given(
        ClientName=client.client_name,
        AllowedOAuthScopes=client.allowed_oauth_scopes and list(client.allowed_oauth_scopes),
        AccessTokenValidityMinutes=client.access_token_validity and client.access_token_validity.to_minutes(),
    )


def _given(**properties: Any) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if value is not None}
