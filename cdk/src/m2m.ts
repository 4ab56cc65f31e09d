import { ArnFormat, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as authorizers from 'aws-cdk-lib/aws-apigatewayv2-authorizers';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import { renderCognitoM2MProperties } from './private/render';
import { Resource } from './private/resource';
import { type CognitoM2MProperties, TokenService } from './props';
import { CognitoM2MProvider, type ICognitoM2MProvider } from './provider';

/** What the constructs need beside the properties of the resource. */
export interface CognitoM2MProps extends CognitoM2MProperties {
  /**
   * The provider that makes the resource.
   *
   * @default - the provider of the stack or of the app; if there is none, the stack gets one
   */
  readonly provider?: ICognitoM2MProvider;

  /**
   * What happens to the user pool and its secrets if the resource leaves the stack. With `RETAIN` nothing is deleted.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;

  /**
   * Whether the resource has attributes for each client, from which `client()` takes ids and ARNs.
   *
   * CloudFormation accepts 4,096 bytes of attributes, which is about a dozen clients. The resource leaves out those of
   * all clients if they do not fit, and then a stack that asks for one fails. With `false` the construct does not ask:
   * it takes a client's id from the list of all ids, and knows a secret by its name. Set it to `false` if the names are
   * so long that the attributes of ten clients do not fit, or to keep templates as they are when the eleventh client
   * comes.
   *
   * @default - true for up to ten clients
   */
  readonly clientAttributes?: boolean;
}

/** A client and its secret, as other constructs need them. Whatever uses one of its members waits for the client. */
export interface ICognitoM2MClient {
  /** The id of the app client. */
  readonly clientId: string;

  /**
   * The name of the secret, to read it by. `secret.secretName` is no substitute: the CDK cuts it out of the ARN, so it
   * may end with the random suffix of the ARN.
   */
  readonly secretName: string;

  /**
   * The secret with the credentials.
   *
   * Its value is JSON with the keys `client_id`, `client_secret`, `token_endpoint`, `token_service`, `scope`, `issuer`,
   * `jwks_uri`, `user_pool_id` and `client_name`. Read it at run time: `secretValueFromJson('client_secret')` would copy the client
   * secret into another resource, where no rotation reaches it.
   */
  readonly secret: secretsmanager.ISecret;

  /**
   * Lets a principal read the secret, and decrypt it if the key is one of this app. An imported key needs
   * `key.grantDecrypt` too.
   */
  grantRead(grantee: iam.IGrantable): iam.Grant;
}

// How many clients' attributes fit for sure, if their names have a usual length.
const CLIENTS_WITH_ATTRIBUTES = 10;

/**
 * A machine-to-machine stack in Amazon Cognito as one CloudFormation resource: a user pool, its domain, its resource
 * servers, its app clients, and a secret for each client.
 *
 * Keep the construct's id and its place in the tree: they make the logical id, and another logical id is another pool,
 * whose domain and secrets would have names that are taken.
 */
export class CognitoM2M extends Construct {
  /** The provider that makes the resource. */
  public readonly provider: ICognitoM2MProvider;

  /** The user pool, for constructs that want one, such as an authorizer. */
  public readonly userPool: cognito.IUserPool;

  private readonly props: CognitoM2MProps;
  private readonly resource: Resource;
  private readonly clients = new Map<string, ICognitoM2MClient>();
  private readonly firstClient: ICognitoM2MClient;

  constructor(scope: Construct, id: string, props: CognitoM2MProps = {}) {
    super(scope, id);
    this.provider = props.provider ?? CognitoM2MProvider.getOrCreate(this);
    const keys = [props.secretKmsKey, ...(props.secretReplicas ?? []).map((replica) => replica.kmsKey)];
    keys.forEach((key) => key && this.provider.allowKey(key));
    if (props.customDomain !== undefined) {
      this.provider.allowCustomDomains();
    }
    this.props = props;
    this.resource = new Resource(this, 'Resource', {
      type: 'CognitoM2M',
      provider: this.provider,
      properties: renderCognitoM2MProperties(props),
      removalPolicy: props.removalPolicy,
    });
    this.userPool = cognito.UserPool.fromUserPoolId(this, 'UserPool', this.userPoolId);
    const declared = props.clients ?? [];
    const named = new Set(declared.map(({ clientName }) => clientName));
    if (named.size < declared.length) {
      throw new Error(`${this.node.path} declares two clients of the same name`);
    }
    declared.forEach(({ clientName }, index) => this.clients.set(clientName, this.declared(clientName, index, props)));
    const [first = this.unnamed(props)] = this.clients.values();
    this.firstClient = first;
  }

  /**
   * Returns a client. Throws an error if none of that name is declared.
   *
   * @param clientName the name of the client; without it, the first client, or the one that the resource makes if none
   * is declared.
   */
  public client(clientName?: string): ICognitoM2MClient {
    const client = clientName === undefined ? this.firstClient : this.clients.get(clientName);
    if (client === undefined) {
      const declared = [...this.clients.keys()].join(', ') || 'none';
      throw new Error(`${this.node.path} has no client '${clientName}'; declared are: ${declared}`);
    }
    return client;
  }

  /**
   * Lets a principal read a client's secret.
   *
   * @param grantee the principal
   * @param clientName the name of the client; without it, the first one.
   */
  public grantRead(grantee: iam.IGrantable, clientName?: string): iam.Grant {
    return this.client(clientName).grantRead(grantee);
  }

  /**
   * Returns an authorizer for an HTTP API that accepts the tokens of this pool's clients. Give each route the scopes
   * that it requires (`authorizationScopes`).
   *
   * @param id the id of the authorizer
   * @param clientNames the clients whose tokens it accepts; without it, those of all clients.
   */
  public httpJwtAuthorizer(id: string, clientNames?: string[]): authorizers.HttpJwtAuthorizer {
    const jwtAudience = clientNames?.map((name) => this.client(name).clientId) ?? this.clientIds;
    return new authorizers.HttpJwtAuthorizer(id, this.issuer, { jwtAudience });
  }

  /** The id of the user pool. It does not change while the resource lives. */
  public get userPoolId(): string {
    return this.resource.ref;
  }

  /** The ARN of the user pool. */
  public get userPoolArn(): string {
    return this.resource.attribute('UserPoolArn');
  }

  /** The name of the user pool, by default also the prefix of the secrets' names. */
  public get userPoolName(): string {
    return this.resource.attribute('UserPoolName');
  }

  /** The `iss` of the tokens: `https://cognito-idp.<region>.amazonaws.com/<userPoolId>`. */
  public get issuer(): string {
    return this.resource.attribute('Issuer');
  }

  /** The address of the keys with which the tokens are signed. */
  public get jwksUri(): string {
    return this.resource.attribute('JwksUri');
  }

  /** The OpenID Connect discovery document, which Amazon Bedrock AgentCore and other JWT authorizers ask for. */
  public get discoveryUrl(): string {
    return this.resource.attribute('DiscoveryUrl');
  }

  /**
   * The host of the token endpoint, such as `m2m-rubicon-dev.auth.us-east-1.amazoncognito.com`. Throws an error
   * if `tokenService` is `API`: then there is no domain.
   */
  public get domain(): string {
    if (this.props.tokenService === TokenService.API) {
      throw new Error(`${this.node.path} has no domain, because its tokenService is API`);
    }
    return this.resource.attribute('Domain');
  }

  /**
   * The address at which a client gets its tokens: `https://<domain>/oauth2/token`, or that of Cognito's API if
   * `tokenService` is `API`.
   */
  public get tokenEndpoint(): string {
    return this.resource.attribute('TokenEndpoint');
  }

  /** The ids of all clients in the order of `clients`: the audience list of a JWT authorizer. */
  public get clientIds(): string[] {
    return Fn.split(',', this.resource.attribute('ClientIds'));
  }

  /** Every declared scope, written `<Identifier>/<ScopeName>`. */
  public get scopes(): string[] {
    return Fn.split(' ', this.resource.attribute('Scopes'));
  }

  /** `verified`, `unreachable`, `skipped` (also if nothing needed a check), or `failed` (after a rollback only). */
  public get tokenVerification(): string {
    return this.resource.attribute('TokenVerification');
  }

  /** The name to which the DNS record of `customDomain` must point. Throws an error if there is no custom domain. */
  public get customDomainTarget(): string {
    if (this.props.customDomain === undefined) {
      throw new Error(`${this.node.path} has no customDomain, so there is no target for its DNS record`);
    }
    return this.resource.attribute('CustomDomainTarget');
  }

  /** Any attribute of the resource, by its name in docs/reference.md. */
  public getAttribute(name: string): string {
    return this.resource.attribute(name);
  }

  private declared(clientName: string, index: number, props: CognitoM2MProps): ICognitoM2MClient {
    const hasAttributes = props.clientAttributes ?? (props.clients ?? []).length <= CLIENTS_WITH_ATTRIBUTES;
    const secretName = `${this.secretNamePrefix(props)}/${clientName}`;
    const clientId = hasAttributes
      ? this.resource.attribute(`ClientId.${clientName}`)
      : Fn.select(index, this.clientIds);
    const secret = secretsmanager.Secret.fromSecretAttributes(this, `Secret-${clientName}`, {
      encryptionKey: props.secretKmsKey,
      ...(hasAttributes
        ? { secretCompleteArn: this.resource.attribute(`ClientSecretArn.${clientName}`) }
        : { secretPartialArn: this.partialArn(secretName) }),
    });
    return handle(clientId, secretName, secret);
  }

  /** The client that the resource makes if none is declared. */
  private unnamed(props: CognitoM2MProps): ICognitoM2MClient {
    const secretName = `${this.secretNamePrefix(props)}/${this.userPoolName}-client`;
    const secret = secretsmanager.Secret.fromSecretAttributes(this, 'Secret', {
      encryptionKey: props.secretKmsKey,
      secretCompleteArn: this.resource.attribute('ClientSecretArn'),
    });
    return handle(this.resource.attribute('ClientId'), secretName, secret);
  }

  /**
   * A prefix that is only text would let CloudFormation make a consumer before the secret is there. So it is taken from
   * a list that contains the pool's id: CloudFormation has to wait for that.
   */
  private secretNamePrefix(props: CognitoM2MProps): string {
    return props.secretNamePrefix === undefined
      ? this.userPoolName
      : Fn.select(0, [props.secretNamePrefix, this.userPoolId]);
  }

  private partialArn(secretName: string): string {
    return Stack.of(this).formatArn({
      service: 'secretsmanager',
      resource: 'secret',
      resourceName: secretName,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
  }
}

function handle(clientId: string, secretName: string, secret: secretsmanager.ISecret): ICognitoM2MClient {
  return { clientId, secretName, secret, grantRead: (grantee) => secret.grantRead(grantee) };
}
