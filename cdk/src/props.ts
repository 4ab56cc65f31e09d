// Made by `make generate` from the JSON Schemas. Do not edit.
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as kms from 'aws-cdk-lib/aws-kms';
import { Duration } from 'aws-cdk-lib';

/**
 * Describes one client.
 */
export interface ClientOptions {
  /**
   * What identifies the client, and the end of its secret's name. A change creates a new client with a new id and a
   * new secret, and deletes the old one. Must be 1 to 128 letters, digits and _+=.@-, ASCII only.
   */
  readonly clientName: string;

  /**
   * For how many minutes the client's access tokens are valid. A change applies to later tokens. Must be 5 to 1440.
   * A duration in whole minutes.
   *
   * @default - 60 minutes
   */
  readonly accessTokenValidity?: Duration;

  /**
   * The scopes that the client may ask for. A change keeps the client's id and secret. Must be 1 to 50 different
   * entries, each a scope declared in ResourceServers, written <Identifier>/<ScopeName>.
   *
   * @default - all declared scopes
   */
  readonly allowedOAuthScopes?: string[];

  /**
   * Who may read the client's secret by its resource policy, in this account or another one. A principal of another
   * account needs SecretKmsKeyId, and its own account must allow it to read the secret. Other statements in the
   * policy stay. Must be at most 20 different entries, each the ARN of an IAM role, a user or an account's root,
   * without wildcards.
   *
   * @default - none
   */
  readonly secretReaders?: string[];
}

/** What the property of this name may be. */
export enum SecurityPolicy {
  /** `TLS_V1` */
  TLS_V1 = 'TLS_V1',
  /** `TLS_V1_2_2021` */
  TLS_V1_2_2021 = 'TLS_V1_2_2021',
  /** `TLS_V1_3_2025` */
  TLS_V1_3_2025 = 'TLS_V1_3_2025',
}

/**
 * Describes one custom domain.
 */
export interface CustomDomainOptions {
  /**
   * The certificate for the host name, in us-east-1 (in AWS GovCloud: us-gov-west-1), whatever the stack's region
   * is. A change is made in place. Must be the ARN of a certificate in AWS Certificate Manager.
   */
  readonly certificate: acm.ICertificate;

  /**
   * The host name. Its parent, such as example.com, must have an A record in DNS. A change deletes the old domain
   * before it creates the new one. Must be a lower-case host name with at least three parts and at most 63
   * characters, such as auth.example.com.
   */
  readonly domainName: string;

  /**
   * The oldest TLS version and the ciphers that the domain accepts. A change is made in place. Must be TLS_V1,
   * TLS_V1_2_2021 or TLS_V1_3_2025.
   *
   * @default - TLS_V1_2_2021
   */
  readonly securityPolicy?: SecurityPolicy;
}

/**
 * Describes one scope.
 */
export interface ScopeOptions {
  /**
   * The scope's name, such as read. A token contains it as <Identifier>/<ScopeName>. Must be 1 to 256 printable
   * ASCII characters except the space, ", \ and /.
   */
  readonly scopeName: string;

  /**
   * What the scope allows, for people. Must be 1 to 256 characters.
   *
   * @default - the scope's name
   */
  readonly scopeDescription?: string;
}

/**
 * Describes one resource server.
 */
export interface ResourceServerOptions {
  /**
   * What the server's scopes begin with, such as orders or https://api.example.com. It is unique in the pool. A
   * change creates a new server and deletes the old one. Must be 1 to 256 printable ASCII characters except the
   * space, " and \.
   */
  readonly identifier: string;

  /**
   * The server's scopes, each with a name of its own. Must be 1 to 100 entries.
   */
  readonly scopes: ScopeOptions[];

  /**
   * A name for people. It is required if the identifier is not a valid name, as a URL is not. Must be 1 to 256
   * letters, digits, white space and _+=,.@-, ASCII only.
   *
   * @default - the identifier
   */
  readonly name?: string;
}

/**
 * Describes one secret replica.
 */
export interface SecretReplicaOptions {
  /**
   * The region of the replica: another one than the stack's, in the same partition. Must be a region, such as
   * eu-west-1.
   */
  readonly region: string;

  /**
   * The KMS key of that region which encrypts the replica. List it in the template parameter SecretKmsKeyArns. A
   * change removes the replica and makes it again. Must be a key id, a key ARN, alias/<name> or an alias ARN.
   *
   * @default - the AWS managed key
   */
  readonly kmsKey?: kms.IKey;
}

/** What the property of this name may be. */
export enum TokenEndpointDomain {
  /** `PREFIX` */
  PREFIX = 'PREFIX',
  /** `CUSTOM` */
  CUSTOM = 'CUSTOM',
}

/** What the property of this name may be. */
export enum TokenService {
  /** `DOMAIN` */
  DOMAIN = 'DOMAIN',
  /** `API` */
  API = 'API',
}

/**
 * A machine-to-machine (OAuth 2 client credentials) stack in Amazon Cognito: a user pool, its domain, its resource
 * servers and scopes, its app clients, and a Secrets Manager secret for each client. All properties are optional,
 * and each can be changed in place.
 */
export interface CognitoM2MProperties {
  /**
   * The app clients. Each has a name of its own, and a secret in Secrets Manager. An update that removes a client
   * deletes its secret, and then the client. Must be 1 to 100 entries.
   *
   * @default - one client, <pool's name>-client
   */
  readonly clients?: ClientOptions[];

  /**
   * A domain under a name of your own, beside the prefix domain, which stays. The attribute CustomDomainTarget is
   * the name that its DNS record must point to. Must be a map with DomainName, CertificateArn and SecurityPolicy.
   *
   * @default - none
   */
  readonly customDomain?: CustomDomainOptions;

  /**
   * ACTIVE makes the deletion of the pool fail, and with it the deletion of the stack. To delete the stack, deploy
   * INACTIVE first. Must be ACTIVE or INACTIVE.
   *
   * @default - INACTIVE
   */
  readonly deletionProtection?: boolean;

  /**
   * The domain is <DomainPrefix>-<EnvironmentName>. It is unique in its region across all AWS accounts. None of the
   * words between its hyphens is aws, amazon or cognito. A change deletes the old domain before it creates the new
   * one: no client gets a token until DNS knows the new name. Leave it out if TokenService is API. Must be 1 to 61
   * lower-case letters, digits and hyphens, with no hyphen in front.
   *
   * @default - m2m-rubicon
   */
  readonly domainPrefix?: string;

  /**
   * The environment, such as dev or prod. The names of the pool and the domain end with it, and it is the value of
   * the tag Environment. A change renames the pool and moves the domain. By default it also replaces the secrets and
   * the default client, because they are named after the pool. Must be 1 to 32 lower-case letters, digits and
   * hyphens, with no hyphen at either end.
   *
   * @default - dev
   */
  readonly environmentName?: string;

  /**
   * The branding of the domain's sign-in pages, which machine clients never see: 1 is the classic hosted UI, 2 is
   * managed login. 2 needs a UserPoolTier other than LITE. It has no effect if TokenService is API. Must be 1 or 2.
   *
   * @default - 2
   */
  readonly managedLoginVersion?: cognito.ManagedLoginVersion;

  /**
   * The value of the tag Project on the pool and its secrets. Must be at most 256 letters, digits, spaces and
   * _.:/=+-@.
   *
   * @default - m2m-auth
   */
  readonly projectTag?: string;

  /**
   * The APIs that tokens are for, with their scopes. An update adds new scopes before it changes the clients, and
   * removes old scopes afterwards. So no client loses a scope that it keeps. Must be 1 to 25 entries.
   *
   * @default - [{"Identifier":"m2m-client","Scopes":[{"ScopeName":"read"},{"ScopeName":"write"}]}]
   */
  readonly resourceServers?: ResourceServerOptions[];

  /**
   * Any text, such as a date. An update with a value that is neither the present one nor the one before it gives
   * each client a new secret, once. The former secret works until the next rotation. Must be at most 128 characters.
   *
   * @default - empty
   */
  readonly rotateSecrets?: string;

  /**
   * Secrets Manager gives each client a new secret after so many days. 0 turns this off. The former secret works
   * until the next rotation. A change does not rotate anything by itself. Must be 0 to 1000. A duration in whole
   * days.
   *
   * @default - 0 days
   */
  readonly rotationInterval?: Duration;

  /**
   * The KMS key that encrypts the secrets. The functions' roles must be allowed to use it: list it in the template
   * parameter SecretKmsKeyArns. Must be a key id, a key ARN, alias/<name> or an alias ARN.
   *
   * @default - the AWS managed key
   */
  readonly secretKmsKey?: kms.IKey;

  /**
   * A secret's name is <SecretNamePrefix>/<ClientName>. A change creates new secrets with the same credentials and
   * new ARNs, and deletes the old ones. Must be 1 to 510 letters, digits and /_+=.@-, ASCII only.
   *
   * @default - the pool's name
   */
  readonly secretNamePrefix?: string;

  /**
   * For how many days you can restore a deleted secret. 0 deletes it at once. A change applies to later deletions.
   * Must be 0 or 7 to 30. A duration in whole days.
   *
   * @default - 7 days
   */
  readonly secretRecoveryWindow?: Duration;

  /**
   * The other regions that have a copy of each secret. Secrets Manager keeps the copies up to date, also after a
   * rotation. An update removes the replicas in regions that are not listed. AWS bills each replica as a secret.
   * Must be at most 50 entries.
   *
   * @default - none
   */
  readonly secretReplicas?: SecretReplicaOptions[];

  /**
   * Prefixes of the names of stacks that may add clients and resource servers to the pool. The entries together,
   * with a space between two, have at most 256 characters. What those stacks have added stays if you remove an
   * entry. Must be at most 128 different entries, each 1 to 128 letters, digits and hyphens, with a letter in front.
   *
   * @default - none
   */
  readonly sharedWithStacks?: string[];

  /**
   * More tags for the pool and its secrets: a map, or a list of Key=Value. A template parameter of the type
   * CommaDelimitedList can fill the list; if its value is empty, there are no tags. Must be at most 45 tags. A key
   * has 1 to 128 letters, digits, spaces and _.:/=+-@, is none of Environment, Project and ManagedBy, and does not
   * begin with aws: or cognito-m2m:. A value has at most 256 letters, digits, spaces and _.:/=+-@.
   *
   * @default - none
   */
  readonly tags?: { [key: string]: string };

  /**
   * Which domain clients use: it is in TokenEndpoint, Domain and the secrets. CUSTOM needs a CustomDomain. An update
   * from PREFIX to CUSTOM first requests a token at the custom domain, and changes nothing if it gets none. Must be
   * PREFIX or CUSTOM.
   *
   * @default - PREFIX
   */
  readonly tokenEndpointDomain?: TokenEndpointDomain;

  /**
   * Where the clients get their tokens: at the token endpoint of the pool's domain, or by Cognito's operation
   * GetClientToken. With API the pool has no domain, so it can be reached over PrivateLink. A change keeps the ids
   * and secrets, but the consumers must ask for tokens in another way. Must be DOMAIN or API.
   *
   * @default - DOMAIN
   */
  readonly tokenService?: TokenService;

  /**
   * The pool's name is <UserPoolNamePrefix>-<EnvironmentName>. A change renames the pool. By default it also
   * replaces the secrets and the default client, because they are named after the pool. Must be 1 to 126 letters,
   * digits, white space and _+=,.@-, ASCII only.
   *
   * @default - machine-to-machine
   */
  readonly userPoolNamePrefix?: string;

  /**
   * The feature plan of the pool. LITE needs ManagedLoginVersion 1, unless TokenService is API. Must be LITE,
   * ESSENTIALS or PLUS.
   *
   * @default - ESSENTIALS
   */
  readonly userPoolTier?: cognito.FeaturePlan;

  /**
   * Whether the provider gets a token for each client that a deployment adds or changes, and checks it. A refusal
   * fails the deployment. These tokens are billed. Must be true or false.
   *
   * @default - true
   */
  readonly verifyToken?: boolean;
}

/**
 * An app client for machines in an Amazon Cognito user pool that another stack or another tool owns, and its
 * Secrets Manager secret.
 */
export interface CognitoM2MClientProperties {
  /**
   * The scopes that the client may ask for. A change keeps the client's id and secret. Must be 1 to 50 different
   * entries, each a scope that exists in the pool, written <Identifier>/<ScopeName>.
   */
  readonly allowedOAuthScopes: string[];

  /**
   * The client's name. In Cognito, a mark follows it that says which resource owns the client. A change renames the
   * client and keeps its id and its secret. Must be 1 to 110 letters, digits and _+=.@-, ASCII only.
   */
  readonly clientName: string;

  /**
   * The pool to add to. Its owner must share it with the stack. It cannot change: in another pool, this is another
   * resource and needs another logical id. Must be a user pool id, such as us-east-1_AbCdEfGhI.
   */
  readonly userPool: cognito.IUserPool;

  /**
   * For how many minutes the client's access tokens are valid. A change applies to later tokens. Must be 5 to 1440.
   * A duration in whole minutes.
   *
   * @default - 60 minutes
   */
  readonly accessTokenValidity?: Duration;

  /**
   * The id of an existing client to take over with its id and its secret, when the resource is created. It is never
   * deleted: if you delete the resource, the client gets its former name back. To remove the property later changes
   * nothing. Must be 1 to 128 letters, digits, _ and +.
   *
   * @default - none: a client is created
   */
  readonly adoptClientId?: string;

  /**
   * Any text, such as a date. An update with a value that is neither the present one nor the one before it gives the
   * client a new secret, once. The former secret works until the next rotation. Must be at most 128 characters.
   *
   * @default - empty
   */
  readonly rotateSecret?: string;

  /**
   * Secrets Manager gives each client a new secret after so many days. 0 turns this off. The former secret works
   * until the next rotation. A change does not rotate anything by itself. Must be 0 to 1000. A duration in whole
   * days.
   *
   * @default - 0 days
   */
  readonly rotationInterval?: Duration;

  /**
   * The KMS key that encrypts the secrets. The functions' roles must be allowed to use it: list it in the template
   * parameter SecretKmsKeyArns. Must be a key id, a key ARN, alias/<name> or an alias ARN.
   *
   * @default - the AWS managed key
   */
  readonly secretKmsKey?: kms.IKey;

  /**
   * The name of the client's secret. A change creates a new secret with the same credentials and a new ARN, and
   * deletes the old one. Must be 1 to 512 letters, digits and /_+=.@-, ASCII only.
   *
   * @default - <stack name>/<ClientName>
   */
  readonly secretName?: string;

  /**
   * Who may read the client's secret by its resource policy, in this account or another one. A principal of another
   * account needs SecretKmsKeyId, and its own account must allow it to read the secret. Other statements in the
   * policy stay. Must be at most 20 different entries, each the ARN of an IAM role, a user or an account's root,
   * without wildcards.
   *
   * @default - none
   */
  readonly secretReaders?: string[];

  /**
   * For how many days you can restore a deleted secret. 0 deletes it at once. A change applies to later deletions.
   * Must be 0 or 7 to 30. A duration in whole days.
   *
   * @default - 7 days
   */
  readonly secretRecoveryWindow?: Duration;

  /**
   * The other regions that have a copy of each secret. Secrets Manager keeps the copies up to date, also after a
   * rotation. An update removes the replicas in regions that are not listed. AWS bills each replica as a secret.
   * Must be at most 50 entries.
   *
   * @default - none
   */
  readonly secretReplicas?: SecretReplicaOptions[];

  /**
   * More tags for the secret: a map, or a list of Key=Value. A template parameter of the type CommaDelimitedList can
   * fill the list; if its value is empty, there are no tags. Must be at most 47 tags. A key has 1 to 128 letters,
   * digits, spaces and _.:/=+-@, is not ManagedBy, and does not begin with aws: or cognito-m2m:. A value has at most
   * 256 letters, digits, spaces and _.:/=+-@.
   *
   * @default - none
   */
  readonly tags?: { [key: string]: string };

  /**
   * Which of the pool's domains the client uses: it is in TokenEndpoint and the secret. If the pool has one domain
   * only, the client uses that one. An update from PREFIX to CUSTOM first requests a token at the custom domain, and
   * changes nothing if it gets none. Must be PREFIX or CUSTOM.
   *
   * @default - PREFIX
   */
  readonly tokenEndpointDomain?: TokenEndpointDomain;

  /**
   * Whether the provider gets a token for each client that a deployment adds or changes, and checks it. A refusal
   * fails the deployment. These tokens are billed. Must be true or false.
   *
   * @default - true
   */
  readonly verifyToken?: boolean;
}

/**
 * A resource server with its scopes in an Amazon Cognito user pool that another stack or another tool owns.
 */
export interface CognitoM2MResourceServerProperties {
  /**
   * What the server's scopes begin with, such as orders or https://api.example.com. It is unique in the pool. It
   * cannot change: another identifier is another resource and needs another logical id. Must be 1 to 256 printable
   * ASCII characters except the space, " and \.
   */
  readonly identifier: string;

  /**
   * The server's scopes, each with a name of its own. Must be 1 to 100 entries.
   */
  readonly scopes: ScopeOptions[];

  /**
   * The pool to add to. Its owner must share it with the stack. It cannot change: in another pool, this is another
   * resource and needs another logical id. Must be a user pool id, such as us-east-1_AbCdEfGhI.
   */
  readonly userPool: cognito.IUserPool;

  /**
   * A name for people. It is required if the identifier is not a valid name, as a URL is not. In Cognito, a mark
   * follows it that says which resource owns the server. Must be 1 to 230 letters, digits, white space and _+=,.@-,
   * ASCII only.
   *
   * @default - the identifier
   */
  readonly name?: string;
}
