import { Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { ICognitoM2MClient } from './m2m';
import { renderCognitoM2MClientProperties } from './private/render';
import { Resource } from './private/resource';
import type { CognitoM2MClientProperties } from './props';
import { CognitoM2MProvider, type ICognitoM2MProvider } from './provider';

/** What the construct needs beside the properties of the resource. */
export interface CognitoM2MClientProps extends CognitoM2MClientProperties {
  /**
   * The provider that makes the resource.
   *
   * @default - the provider of the stack or of the app; if there is none, the stack gets one
   */
  readonly provider?: ICognitoM2MProvider;

  /**
   * What happens to the client and its secret if the resource leaves the stack. With `RETAIN` nothing is deleted.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * One app client in a user pool that another stack or another tool owns, and its secret. The pool's owner shares it
 * with the stack: by `sharedWithStacks`, or with the tag `cognito-m2m:shared-with`.
 */
export class CognitoM2MClient extends Construct implements ICognitoM2MClient {
  /** The provider that makes the resource. */
  public readonly provider: ICognitoM2MProvider;
  public readonly secretName: string;
  public readonly secret: secretsmanager.ISecret;
  private readonly resource: Resource;

  constructor(scope: Construct, id: string, props: CognitoM2MClientProps) {
    super(scope, id);
    this.provider = props.provider ?? CognitoM2MProvider.getOrCreate(this);
    const keys = [props.secretKmsKey, ...(props.secretReplicas ?? []).map((replica) => replica.kmsKey)];
    keys.forEach((key) => key && this.provider.allowKey(key));
    this.resource = new Resource(this, 'Resource', {
      type: 'CognitoM2MClient',
      provider: this.provider,
      properties: renderCognitoM2MClientProperties(props),
      removalPolicy: props.removalPolicy,
    });
    // Taken from a list that contains the client's id, so that CloudFormation waits for the secret.
    const name = props.secretName ?? `${Stack.of(this).stackName}/${props.clientName}`;
    this.secretName = Fn.select(0, [name, this.clientId]);
    this.secret = secretsmanager.Secret.fromSecretAttributes(this, 'Secret', {
      encryptionKey: props.secretKmsKey,
      secretCompleteArn: this.resource.attribute('ClientSecretArn'),
    });
  }

  public grantRead(grantee: iam.IGrantable): iam.Grant {
    return this.secret.grantRead(grantee);
  }

  public get clientId(): string {
    return this.resource.ref;
  }

  /** The `iss` of the tokens. */
  public get issuer(): string {
    return this.resource.attribute('Issuer');
  }

  /** The address of the keys with which the tokens are signed. */
  public get jwksUri(): string {
    return this.resource.attribute('JwksUri');
  }

  /** The OpenID Connect discovery document. */
  public get discoveryUrl(): string {
    return this.resource.attribute('DiscoveryUrl');
  }

  /** The address at which the client gets its tokens. */
  public get tokenEndpoint(): string {
    return this.resource.attribute('TokenEndpoint');
  }

  /** `verified`, `unreachable`, `skipped` (also if nothing needed a check), or `failed` (after a rollback only). */
  public get tokenVerification(): string {
    return this.resource.attribute('TokenVerification');
  }

  /** Any attribute of the resource, by its name in docs/reference.md. */
  public getAttribute(name: string): string {
    return this.resource.attribute(name);
  }
}
