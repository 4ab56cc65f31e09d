import { Annotations, CfnResource, Lazy, Stack, Stage, Token, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as assets from 'aws-cdk-lib/aws-s3-assets';
import * as sns from 'aws-cdk-lib/aws-sns';
import { CfnInclude } from 'aws-cdk-lib/cloudformation-include';
import { Construct, type IConstruct } from 'constructs';
import { ANSWERS, wildcards } from './private/nag';
import { availableArchitectures, codeOf, withTemplate } from './private/template';

/** The least severe log lines of the functions to keep. No level prints a secret. */
export enum LogLevel {
  /** `TRACE` */
  TRACE = 'TRACE',
  /** `DEBUG` */
  DEBUG = 'DEBUG',
  /** `INFO` */
  INFO = 'INFO',
  /** `WARN` */
  WARN = 'WARN',
  /** `ERROR` */
  ERROR = 'ERROR',
}

/** The function that answers CloudFormation for the resources of this library. */
export interface ICognitoM2MProvider extends IConstruct {
  /** The ARN of the provider function. */
  readonly serviceToken: string;

  /**
   * Lets the functions use a key of your own for secrets. The constructs call it for the keys that they are given.
   *
   * Does nothing for a provider that is imported: list the key in the parameter `SecretKmsKeyArns` of its stack.
   */
  allowKey(key: kms.IKey): void;

  /**
   * Lets the provider make custom domains. The construct `CognitoM2M` calls it if it has one.
   *
   * Does nothing for a provider that is imported: set the parameter `CustomDomains` of its stack.
   */
  allowCustomDomains(): void;
}

/** The settings of the provider's functions. */
export interface CognitoM2MProviderProps {
  /**
   * The processor of both functions. The package must contain their code for it.
   *
   * @default - lambda.Architecture.X86_64, or the one that the package contains
   */
  readonly architecture?: lambda.Architecture;

  /**
   * The least severe log lines of both functions to keep.
   *
   * @default LogLevel.INFO
   */
  readonly logLevel?: LogLevel;

  /**
   * How long the logs of both functions are kept.
   *
   * @default logs.RetentionDays.ONE_MONTH
   */
  readonly logRetention?: logs.RetentionDays;

  /**
   * The topic for alarms about failed and abandoned rotations, and about events that the provider could not answer. It
   * must not be a FIFO topic.
   *
   * @default - no alarms
   */
  readonly alarmTopic?: sns.ITopic;

  /**
   * Keys that the functions may use for secrets. The keys of resources in the same stack, and imported keys, are
   * added by themselves: list those of other stacks of your app.
   *
   * @default - none
   */
  readonly secretKmsKeys?: kms.IKey[];

  /**
   * Whether the provider may make custom domains for apps that import it. AWS asks for the permission to update CloudFront
   * distributions, which IAM cannot limit to those of Cognito.
   *
   * @default - true if a resource of this app has a custom domain
   */
  readonly customDomains?: boolean;

  /**
   * The functions' roles may touch only secrets whose names begin with this.
   *
   * @default - every secret with the tag ManagedBy=cognito-m2m
   */
  readonly secretsPrefix?: string;

  /**
   * A permissions boundary for both functions' roles.
   *
   * @default - none
   */
  readonly permissionsBoundary?: iam.IManagedPolicy;

  /**
   * Gives the roles the permissions that a local cloud needs, because it does not know user pools' tags in IAM
   * conditions. Never set it in AWS.
   *
   * @default - the value of the context key `cognito-m2m:localCloud`, or else false
   */
  readonly localCloud?: boolean;
}

// So that an app is the same in a local cloud and in AWS.
const LOCAL_CLOUD = 'cognito-m2m:localCloud';

// The id of the provider that a stack gets if nobody makes one.
const SINGLETON = 'CognitoM2MProvider';

/**
 * The provider: the function that answers CloudFormation, and the function that rotates secrets, with their roles, log
 * groups, queue and alarms. They are those of the project's own template, and their code is in this package.
 *
 * Their names are `<stack name>-provider` and `<stack name>-rotation`, so a stack has at most one provider, and the
 * stack's name has at most 55 characters.
 */
export class CognitoM2MProvider extends Construct implements ICognitoM2MProvider {
  /**
   * Uses a provider that is deployed already, for example with the project's SAM template.
   *
   * @param serviceToken the ARN of the provider function, such as `Fn.importValue('cognito-m2m-ServiceToken')`.
   */
  public static fromServiceToken(scope: Construct, id: string, serviceToken: string): ICognitoM2MProvider {
    return new ImportedProvider(scope, id, serviceToken);
  }

  /**
   * Returns the provider for a construct: the one in its stack, or else one that the app has made (with
   * `new CognitoM2MProvider`) in a stack of the same account and region. If there is none, adds one to the stack.
   */
  public static getOrCreate(scope: Construct): CognitoM2MProvider {
    const stack = Stack.of(scope);
    const isProvider = (each: IConstruct): each is CognitoM2MProvider => each instanceof CognitoM2MProvider;
    const stage = Stage.of(scope);
    const all = (stage ?? stack).node.findAll().filter(isProvider).filter((each) => Stage.of(each) === stage);
    const inStack = all.find((provider) => Stack.of(provider) === stack);
    const sameEnvironment = (other: Stack) => other.account === stack.account && other.region === stack.region;
    const shared = all.find((provider) => provider.node.id !== SINGLETON && sameEnvironment(Stack.of(provider)));
    return inStack ?? shared ?? new CognitoM2MProvider(stack, SINGLETON);
  }

  public readonly serviceToken: string;

  /** The function that rotates secrets. */
  public readonly rotationFunctionArn: string;

  private readonly keys: kms.IKey[];
  private makesCustomDomains: boolean;

  constructor(scope: Construct, id: string, props: CognitoM2MProviderProps = {}) {
    super(scope, id);
    const all = Stack.of(this).node.findAll();
    const other = all.find((each) => each instanceof CognitoM2MProvider && each !== this && Stack.of(each) === Stack.of(this));
    if (other !== undefined) {
      throw new Error(
        `${this.node.path}: the stack has a provider already, ${other.node.path}. Make this one before the resources.`,
      );
    }
    this.keys = [...(props.secretKmsKeys ?? [])];
    this.makesCustomDomains = props.customDomains ?? false;
    const architecture = props.architecture ?? defaultArchitecture();
    const template = this.include(architecture, props);
    const resource = (name: string) => template.getResource(name);
    for (const name of ['Provider', 'Rotation']) {
      this.useCode(resource(`${name}Function`) as lambda.CfnFunction, name.toLowerCase(), architecture);
      this.allowWhatIsNeeded(resource(`${name}Role`) as iam.CfnRole);
    }
    for (const child of template.node.children.filter(CfnResource.isCfnResource)) {
      this.answerNag(child);
    }
    this.serviceToken = (resource('ProviderFunction') as lambda.CfnFunction).attrArn;
    this.rotationFunctionArn = (resource('RotationFunction') as lambda.CfnFunction).attrArn;
  }

  public allowKey(key: kms.IKey): void {
    if (this.keys.includes(key)) {
      return;
    }
    // The provider's stack cannot refer to a stack that refers to the provider.
    if (Token.isUnresolved(key.keyArn) && Stack.of(key) !== Stack.of(this)) {
      Annotations.of(this).addWarningV2(
        'cdk-cognito-m2m:keyOfAnotherStack',
        `The functions may not use ${key.node.path}, which is a key of another stack. Move the key to the stack of the ` +
          'provider, or to a third one and list it in secretKmsKeys.',
      );
      return;
    }
    this.keys.push(key);
  }

  public allowCustomDomains(): void {
    this.makesCustomDomains = true;
  }

  private include(architecture: lambda.Architecture, props: CognitoM2MProviderProps): CfnInclude {
    const conditions = {
      InLocalCloud: props.localCloud ?? String(this.node.tryGetContext(LOCAL_CLOUD)) === 'true',
      WithAlarms: props.alarmTopic !== undefined,
      // Whether these two are needed is known later: `allowWhatIsNeeded` leaves out what is not.
      WithCustomDomains: true,
      WithKmsKey: true,
      WithPermissionsBoundary: props.permissionsBoundary !== undefined,
    };
    const parameters = {
      Architecture: architecture.name,
      LogLevel: props.logLevel ?? LogLevel.INFO,
      LogRetentionInDays: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      AlarmTopicArn: props.alarmTopic?.topicArn ?? '',
      PermissionsBoundaryArn: props.permissionsBoundary?.managedPolicyArn ?? '',
      SecretsPrefix: props.secretsPrefix ?? '',
      SecretKmsKeyArns: '',
    };
    return withTemplate(
      conditions,
      (templateFile) => new CfnInclude(this, 'Template', { templateFile, preserveLogicalIds: false, parameters }),
    );
  }

  private useCode(target: lambda.CfnFunction, name: string, architecture: lambda.Architecture): void {
    const code = new assets.Asset(this, `${name}-code`, { path: codeOf(name, architecture.name) });
    target.code = { s3Bucket: code.s3BucketName, s3Key: code.s3ObjectKey };
    code.addResourceMetadata(target, 'Code');
  }

  /** Leaves out a role's statements about keys and custom domains if there are none, and fills in the keys. */
  private allowWhatIsNeeded(role: iam.CfnRole): void {
    const policies = Stack.of(this).resolve(role.policies);
    // Not cached, because resources may come after the policies were resolved for the first time.
    role.policies = Lazy.uncachedAny({
      produce: () =>
        policies.map((policy: any) => ({
          policyName: policy.policyName,
          policyDocument: {
            ...policy.policyDocument,
            Statement: policy.policyDocument.Statement.flatMap((statement: any) => this.neededStatement(statement)),
          },
        })),
    });
  }

  private neededStatement(statement: any): any[] {
    const arns = [...new Set(this.keys.map((key) => key.keyArn))];
    switch (statement.Sid) {
      case 'EncryptSecrets':
        return arns.length > 0 ? [{ ...statement, Resource: arns }] : [];
      case 'UpdateDistributionsOfCustomDomains':
        return this.makesCustomDomains ? [statement] : [];
      default:
        return [statement];
    }
  }

  /** Answers the findings of cdk-nag's pack AwsSolutions. */
  private answerNag(resource: CfnResource): void {
    const found = resource instanceof iam.CfnRole ? wildcards(Stack.of(this).resolve(resource.policies)) : [];
    for (const { id, reason } of [...found, ...(ANSWERS[resource.cfnResourceType] ?? [])]) {
      Validations.of(resource).acknowledge({ id, reason });
    }
  }
}

function defaultArchitecture(): lambda.Architecture {
  return availableArchitectures().includes('x86_64') ? lambda.Architecture.X86_64 : lambda.Architecture.ARM_64;
}

class ImportedProvider extends Construct implements ICognitoM2MProvider {
  constructor(scope: Construct, id: string, public readonly serviceToken: string) {
    super(scope, id);
  }

  public allowKey(_key: kms.IKey): void {}

  public allowCustomDomains(): void {}
}
