import { ArnFormat, CustomResource, Duration, Fn, Stack } from 'aws-cdk-lib';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';

/** One scope of a resource server. A client's tokens carry it as `identifier/scopeName`. */
export interface ScopeProps {
  /** 1 to 256 printable ASCII characters, without spaces, `"`, `\` and `/`; unique in its server. */
  readonly scopeName: string;

  /**
   * 1 to 256 characters.
   * @default - the scope's name
   */
  readonly scopeDescription?: string;
}

/** One API that tokens are for. */
export interface ResourceServerProps {
  /** 1 to 256 printable ASCII characters, without spaces, `"` and `\`; unique in the pool. */
  readonly identifier: string;

  /**
   * 1 to 256 letters, digits, white space and `_+=,.@-`. Required where the identifier holds anything else, as a
   * URL does.
   * @default - the identifier
   */
  readonly name?: string;

  /** 1 to 100 scopes. */
  readonly scopes: readonly ScopeProps[];
}

/** One service that gets tokens: an app client, and a secret with its credentials. */
export interface ClientProps {
  /**
   * 1 to 128 of `A-Za-z0-9_+=.@-`; unique in the pool. A client is known by its name: a changed name is a new client
   * with new credentials, and the end of the old one.
   */
  readonly clientName: string;

  /**
   * 1 to 50 scopes, each written `identifier/scopeName` and declared in `resourceServers`.
   * @default - all declared scopes
   */
  readonly allowedOAuthScopes?: readonly string[];

  /**
   * How long a token is good for: 5 minutes to 24 hours, in whole minutes.
   * @default Duration.minutes(60)
   */
  readonly accessTokenValidity?: Duration;
}

/** The properties of `Custom::CognitoM2M`. Every one can be changed in place: the user pool and its id stay. */
export interface CognitoM2MProps {
  /**
   * The ARN of the provider function.
   * @default - the export of a provider that was deployed under the stack name `cognito-m2m`
   */
  readonly serviceToken?: string;

  /**
   * The end of the pool's name and of the domain: 1 to 32 lower-case letters, digits and hyphens, with no hyphen at
   * either end.
   * @default 'dev'
   */
  readonly environmentName?: string;

  /**
   * The pool's name is `<userPoolNamePrefix>-<environmentName>`: 1 to 128 letters, digits, white space and `_+=,.@-`.
   * @default 'machine-to-machine'
   */
  readonly userPoolNamePrefix?: string;

  /**
   * The domain is `<domainPrefix>-<environmentName>`: 1 to 63 lower-case letters, digits and hyphens, with no hyphen
   * at either end. None of the words between its hyphens may be `aws`, `amazon` or `cognito`. Domains are unique in a
   * region over all AWS accounts, so choose your own. While the domain changes, nobody gets a token.
   * @default 'm2m-rubicon'
   */
  readonly domainPrefix?: string;

  /**
   * The value of the tag `Project`: at most 256 letters, digits, spaces and `_.:/=+-@`.
   * @default 'm2m-auth'
   */
  readonly projectTag?: string;

  /**
   * At most 45 more tags for the pool and its secrets. `Tags.of(...)` does not reach them, because CloudFormation
   * tags no custom resource.
   * @default - none
   */
  readonly tags?: Readonly<Record<string, string>>;

  /**
   * 1 to 25 resource servers.
   * @default - one server `m2m-client` with the scopes `read` and `write`
   */
  readonly resourceServers?: readonly ResourceServerProps[];

  /**
   * 1 to 100 clients. The resource makes one by itself where none is declared; the construct wants to know the names,
   * so that `client()` can tell a wrong one.
   */
  readonly clients: readonly ClientProps[];

  /**
   * Cognito's feature plan.
   * @default cognito.FeaturePlan.ESSENTIALS
   */
  readonly userPoolTier?: cognito.FeaturePlan;

  /**
   * `NEWER_MANAGED_LOGIN` needs a tier other than `LITE`.
   * @default cognito.ManagedLoginVersion.NEWER_MANAGED_LOGIN
   */
  readonly managedLoginVersion?: cognito.ManagedLoginVersion;

  /**
   * Whether the pool is protected. While it is, a deletion of the stack fails and removes nothing; so does the
   * rollback of a first deployment, so turn this on in the second one.
   * @default false
   */
  readonly deletionProtection?: boolean;

  /**
   * A secret's name is `<secretNamePrefix>/<clientName>`: at most 512 of `A-Za-z0-9/_+=.@-`. A changed name is a new
   * secret with the same credentials and a new ARN.
   * @default - the pool's name
   */
  readonly secretNamePrefix?: string;

  /**
   * The key that encrypts the secrets. The provider must be allowed to use it: by its stack's parameter
   * `SecretKmsKeyArns`, and by the key's own policy.
   * @default - the AWS managed key `aws/secretsmanager`
   */
  readonly secretKmsKey?: kms.IKey;

  /**
   * How long a deleted secret can be restored: 7 to 30 days, or `Duration.days(0)`, which deletes it at once.
   * @default Duration.days(7)
   */
  readonly secretRecoveryWindow?: Duration;

  /**
   * How often Secrets Manager gives each client a new secret: 1 to 1,000 days, or `Duration.days(0)`, which is never.
   * @default Duration.days(0)
   */
  readonly rotationInterval?: Duration;

  /**
   * A date or a serial number, at most 128 characters. In an update, a value other than the present one and the one
   * before it gives each client a new secret once, now.
   * @default - none
   */
  readonly rotateSecrets?: string;

  /**
   * Whether the provider gets a token for each new or changed client and checks it. AWS bills these tokens.
   * @default true
   */
  readonly verifyToken?: boolean;

  /**
   * Whether the resource has attributes for each client, from which `client()` takes ids and ARNs.
   *
   * CloudFormation takes 4,096 bytes of attributes, which is about a dozen clients; the resource leaves out those of
   * all clients where they do not fit, and then a stack that asks for one fails. With `false` the construct does
   * without: it takes a client's id from the list of all ids, and knows a secret by its name. Set it to `false` for
   * names so long that the attributes of ten clients do not fit, or to keep templates as they are when the eleventh
   * client comes.
   * @default - true for up to ten clients
   */
  readonly clientAttributes?: boolean;
}

/** What other constructs need of a client. A construct that uses any of it waits until the client is there. */
export interface Client {
  /** The id of the app client. */
  readonly clientId: string;

  /**
   * The name of the secret, to read it by. `secret.secretName` is no substitute: it is cut out of the ARN, and may
   * have the random suffix of the ARN at its end.
   */
  readonly secretName: string;

  /**
   * The secret with the credentials. `secret.grantRead(role)` lets a role read it. If `secretKmsKey` is a key that
   * this app makes, the key's policy then lets the role decrypt; an imported key needs `key.grantDecrypt(role)` too.
   *
   * Its value is JSON with the keys `client_id`, `client_secret`, `token_endpoint`, `scope`, `issuer`, `jwks_uri`,
   * `user_pool_id` and `client_name`. Read it at run time: `secretValueFromJson('client_secret')` would copy the
   * client secret into another resource, where no rotation reaches it.
   *
   * Without `clientAttributes` its ARN lacks the random suffix. That is good for `grantRead`; but Secrets Manager
   * takes the end of a name such as `web-worker` for that suffix, so read the secret by `secretName`.
   */
  readonly secret: secretsmanager.ISecret;
}

// How many clients' attributes fit for sure, with names of usual length.
const CLIENTS_WITH_ATTRIBUTES = 10;

// The provider works for at most five minutes on one event, and Lambda tries three times: after 20 minutes nobody is
// going to answer. CloudFormation would wait for an hour.
const SERVICE_TIMEOUT = Duration.minutes(20);

/**
 * A machine-to-machine stack in Amazon Cognito as one CloudFormation resource: a user pool, its domain, its resource
 * servers, its app clients, and a secret for each client.
 *
 * The provider reports everything that is wrong with the properties at once, before it changes anything. Keep the
 * construct's id and its place in the tree: they make the logical id, and another logical id is another pool, whose
 * domain and secrets would have names that are taken.
 */
export class CognitoM2M extends Construct {
  /** The custom resource. Its `ref` is the user pool's id. */
  readonly resource: CustomResource;

  /** The user pool, for constructs that want one, such as an authorizer. */
  readonly userPool: cognito.IUserPool;

  private readonly clients: ReadonlyMap<string, Client>;

  constructor(scope: Construct, id: string, props: CognitoM2MProps) {
    super(scope, id);

    this.resource = new CustomResource(this, 'Resource', {
      resourceType: 'Custom::CognitoM2M',
      serviceToken: props.serviceToken ?? Fn.importValue('cognito-m2m-ServiceToken'),
      serviceTimeout: SERVICE_TIMEOUT,
      // What is undefined is left out of the template, and the provider's default counts.
      properties: {
        EnvironmentName: props.environmentName,
        UserPoolNamePrefix: props.userPoolNamePrefix,
        DomainPrefix: props.domainPrefix,
        ProjectTag: props.projectTag,
        Tags: props.tags,
        ResourceServers: props.resourceServers?.map((server) => ({
          Identifier: server.identifier,
          Name: server.name,
          Scopes: server.scopes.map((scope) => ({
            ScopeName: scope.scopeName,
            ScopeDescription: scope.scopeDescription,
          })),
        })),
        Clients: props.clients.map((client) => ({
          ClientName: client.clientName,
          AllowedOAuthScopes: client.allowedOAuthScopes,
          AccessTokenValidityMinutes: client.accessTokenValidity?.toMinutes(),
        })),
        UserPoolTier: props.userPoolTier,
        ManagedLoginVersion: props.managedLoginVersion,
        DeletionProtection:
          props.deletionProtection === undefined ? undefined : props.deletionProtection ? 'ACTIVE' : 'INACTIVE',
        SecretNamePrefix: props.secretNamePrefix,
        SecretKmsKeyId: props.secretKmsKey?.keyArn,
        SecretRecoveryWindowInDays: props.secretRecoveryWindow?.toDays(),
        RotationDays: props.rotationInterval?.toDays(),
        RotateSecrets: props.rotateSecrets,
        VerifyToken: props.verifyToken,
      },
    });
    this.userPool = cognito.UserPool.fromUserPoolId(this, 'UserPool', this.userPoolId);
    this.clients = new Map(
      props.clients.map(({ clientName }, index) => [clientName, this.describe(clientName, index, props)]),
    );
  }

  /** What other constructs need of a client. Throws an error where no client of that name is declared. */
  client(clientName: string): Client {
    const client = this.clients.get(clientName);
    if (client === undefined) {
      const declared = [...this.clients.keys()].join(', ');
      throw new Error(`${this.node.path} has no client '${clientName}'; declared are: ${declared}`);
    }
    return client;
  }

  private describe(clientName: string, index: number, props: CognitoM2MProps): Client {
    // A prefix that is just a text would let CloudFormation make a consumer before the secret is there. So it is
    // taken from a list with the pool's id in it: CloudFormation has to wait for that.
    const prefix =
      props.secretNamePrefix === undefined
        ? this.userPoolName
        : Fn.select(0, [props.secretNamePrefix, this.userPoolId]);
    const secretName = `${prefix}/${clientName}`;
    const hasAttributes = props.clientAttributes ?? props.clients.length <= CLIENTS_WITH_ATTRIBUTES;
    return {
      clientId: hasAttributes ? this.attribute(`ClientId.${clientName}`) : Fn.select(index, this.clientIds),
      secretName,
      secret: secretsmanager.Secret.fromSecretAttributes(this, `Secret-${clientName}`, {
        encryptionKey: props.secretKmsKey,
        ...(hasAttributes
          ? { secretCompleteArn: this.attribute(`ClientSecretArn.${clientName}`) }
          : { secretPartialArn: this.partialArn(secretName) }),
      }),
    };
  }

  private partialArn(secretName: string): string {
    return Stack.of(this).formatArn({
      service: 'secretsmanager',
      resource: 'secret',
      resourceName: secretName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }

  private attribute(name: string): string {
    return this.resource.getAttString(name);
  }

  /** The id of the user pool. It does not change while the resource lives. */
  get userPoolId(): string {
    return this.resource.ref;
  }

  /** The ARN of the user pool. */
  get userPoolArn(): string {
    return this.attribute('UserPoolArn');
  }

  /** The name of the user pool, by default also the prefix of the secrets' names. */
  get userPoolName(): string {
    return this.attribute('UserPoolName');
  }

  /** The `iss` of the tokens: `https://cognito-idp.<region>.amazonaws.com/<userPoolId>`. */
  get issuer(): string {
    return this.attribute('Issuer');
  }

  /** Where the keys are that the tokens are signed with. */
  get jwksUri(): string {
    return this.attribute('JwksUri');
  }

  /** The OpenID Connect discovery document, which Amazon Bedrock AgentCore and other JWT authorizers ask for. */
  get discoveryUrl(): string {
    return this.attribute('DiscoveryUrl');
  }

  /** The host of the token endpoint, such as `m2m-rubicon-dev.auth.us-east-1.amazoncognito.com`. */
  get domain(): string {
    return this.attribute('Domain');
  }

  /** Where a client gets its tokens: `https://<domain>/oauth2/token`. */
  get tokenEndpoint(): string {
    return this.attribute('TokenEndpoint');
  }

  /** The ids of all clients in the order of `clients`: the audience list of a JWT authorizer. */
  get clientIds(): string[] {
    return Fn.split(',', this.attribute('ClientIds'));
  }

  /** Every declared scope, written `identifier/scopeName`. */
  get scopes(): string[] {
    return Fn.split(' ', this.attribute('Scopes'));
  }

  /** `verified`, `unreachable` or `skipped`, the last one also where nothing needed a check. */
  get tokenVerification(): string {
    return this.attribute('TokenVerification');
  }
}
