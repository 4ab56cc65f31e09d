import * as fs from 'fs';
import * as path from 'path';
import { CfnResource, Duration, RemovalPolicy, Stack, TagManager, TagType, Token } from 'aws-cdk-lib';
import { Construct } from 'constructs';
import { type Schema, violations } from './check';
import type { ICognitoM2MProvider } from '../provider';

/** The folder of the package, which contains what is not code. */
export const PACKAGE = path.join(__dirname, '..', '..');

// The provider works for at most five minutes on one event, and Lambda tries three times: after 20 minutes nobody is
// going to answer. CloudFormation would wait for an hour.
const SERVICE_TIMEOUT = Duration.minutes(20);

export interface ResourceProps {
  /** The name of the type, without `Custom::`. */
  readonly type: string;
  readonly provider: ICognitoM2MProvider;
  readonly properties: { [name: string]: any };
  readonly removalPolicy?: RemovalPolicy;
}

/** A resource of one of the three types. It can be tagged if its type has the property `Tags`. */
export class Resource extends CfnResource {
  public readonly tags: TagManager | undefined;

  private readonly rendered: { [name: string]: any };

  constructor(scope: Construct, id: string, props: ResourceProps) {
    const type = `Custom::${props.type}`;
    super(scope, id, { type });
    const schema = schemaOf(props.type);
    const { Tags: tags, ...properties } = props.properties;
    this.rendered = {
      ServiceToken: props.provider.serviceToken,
      ServiceTimeout: SERVICE_TIMEOUT.toSeconds(),
      ...properties,
    };
    if (schema.properties.Tags !== undefined) {
      this.tags = new TagManager(TagType.MAP, type, tags, { tagPropertyName: 'Tags' });
    }
    this.applyRemovalPolicy(props.removalPolicy ?? RemovalPolicy.DESTROY);
    // The functions, their roles and their logs are there as long as the resource.
    this.node.addDependency(props.provider);
    this.node.addValidation({ validate: () => this.violations(schema) });
  }

  /** An attribute of the resource, as text. */
  public attribute(name: string): string {
    return Token.asString(this.getAtt(name));
  }

  protected get cfnProperties(): { [key: string]: any } {
    return { ...this.rendered, Tags: this.tags?.renderTags() };
  }

  private violations(schema: Schema): string[] {
    return violations(schema, Stack.of(this).resolve(this.cfnProperties));
  }
}

function schemaOf(type: string): Schema {
  return JSON.parse(fs.readFileSync(path.join(PACKAGE, 'schemas', `Custom-${type}.json`), 'utf8'));
}
