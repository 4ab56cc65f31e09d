import { Fn, RemovalPolicy, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { renderCognitoM2MResourceServerProperties } from './private/render';
import { Resource } from './private/resource';
import type { CognitoM2MResourceServerProperties } from './props';
import { CognitoM2MProvider, type ICognitoM2MProvider } from './provider';

/** What the construct needs beside the properties of the resource. */
export interface CognitoM2MResourceServerProps extends CognitoM2MResourceServerProperties {
  /**
   * The provider that makes the resource.
   *
   * @default - the provider of the stack or of the app; if there is none, the stack gets one
   */
  readonly provider?: ICognitoM2MProvider;

  /**
   * What happens to the resource server if the resource leaves the stack. With `RETAIN` it stays.
   *
   * @default RemovalPolicy.DESTROY
   */
  readonly removalPolicy?: RemovalPolicy;
}

/**
 * One resource server with its scopes in a user pool that another stack or another tool owns. The pool's owner shares
 * it with the stack: by `sharedWithStacks`, or with the tag `cognito-m2m:shared-with`.
 */
export class CognitoM2MResourceServer extends Construct {
  /** The provider that makes the resource. */
  public readonly provider: ICognitoM2MProvider;
  private readonly resource: Resource;
  private readonly scopeNames: string[];

  constructor(scope: Construct, id: string, props: CognitoM2MResourceServerProps) {
    super(scope, id);
    this.provider = props.provider ?? CognitoM2MProvider.getOrCreate(this);
    this.scopeNames = props.scopes.map(({ scopeName }) => scopeName);
    this.resource = new Resource(this, 'Resource', {
      type: 'CognitoM2MResourceServer',
      provider: this.provider,
      properties: renderCognitoM2MResourceServerProperties(props),
      removalPolicy: props.removalPolicy,
    });
  }

  /** What the server's scopes begin with. */
  public get identifier(): string {
    return this.resource.attribute('Identifier');
  }

  /** The declared scopes, written `<Identifier>/<ScopeName>`. */
  public get scopes(): string[] {
    return Fn.split(' ', this.resource.attribute('Scopes'));
  }

  /**
   * Returns one of the scopes, written `<Identifier>/<ScopeName>`. What uses it waits for the server. Throws an error if
   * no scope of that name is declared.
   *
   * @param scopeName the name of the scope
   */
  public scope(scopeName: string): string {
    const isKnown = ![scopeName, ...this.scopeNames].some((name) => Token.isUnresolved(name));
    if (isKnown && !this.scopeNames.includes(scopeName)) {
      throw new Error(`${this.node.path} has no scope '${scopeName}'; declared are: ${this.scopeNames.join(', ')}`);
    }
    return `${this.identifier}/${scopeName}`;
  }
}
