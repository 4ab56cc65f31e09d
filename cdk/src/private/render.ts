// Made by `make generate` from the JSON Schemas. Do not edit.
import * as p from '../props';

function onOff(flag?: boolean) {
  return flag === undefined ? undefined : flag ? 'ACTIVE' : 'INACTIVE';
}

function map<T, R>(value: T | undefined, render: (value: T) => R): R | undefined {
  return value === undefined ? undefined : render(value);
}

export function renderClientOptions(props: p.ClientOptions) {
  return {
    ClientName: props.clientName,
    AccessTokenValidityMinutes: props.accessTokenValidity?.toMinutes(),
    AllowedOAuthScopes: props.allowedOAuthScopes,
    SecretReaders: props.secretReaders,
  };
}

export function renderCustomDomainOptions(props: p.CustomDomainOptions) {
  return {
    CertificateArn: props.certificate.certificateArn,
    DomainName: props.domainName,
    SecurityPolicy: props.securityPolicy,
  };
}

export function renderScopeOptions(props: p.ScopeOptions) {
  return {
    ScopeName: props.scopeName,
    ScopeDescription: props.scopeDescription,
  };
}

export function renderResourceServerOptions(props: p.ResourceServerOptions) {
  return {
    Identifier: props.identifier,
    Scopes: props.scopes.map(renderScopeOptions),
    Name: props.name,
  };
}

export function renderSecretReplicaOptions(props: p.SecretReplicaOptions) {
  return {
    Region: props.region,
    KmsKeyId: props.kmsKey?.keyArn,
  };
}

export function renderCognitoM2MProperties(props: p.CognitoM2MProperties) {
  return {
    Clients: props.clients?.map(renderClientOptions),
    CustomDomain: map(props.customDomain, renderCustomDomainOptions),
    DeletionProtection: onOff(props.deletionProtection),
    DomainPrefix: props.domainPrefix,
    EnvironmentName: props.environmentName,
    ManagedLoginVersion: props.managedLoginVersion,
    ProjectTag: props.projectTag,
    ResourceServers: props.resourceServers?.map(renderResourceServerOptions),
    RotateSecrets: props.rotateSecrets,
    RotationDays: props.rotationInterval?.toDays(),
    SecretKmsKeyId: props.secretKmsKey?.keyArn,
    SecretNamePrefix: props.secretNamePrefix,
    SecretRecoveryWindowInDays: props.secretRecoveryWindow?.toDays(),
    SecretReplicas: props.secretReplicas?.map(renderSecretReplicaOptions),
    SharedWithStacks: props.sharedWithStacks,
    Tags: props.tags,
    TokenEndpointDomain: props.tokenEndpointDomain,
    TokenService: props.tokenService,
    UserPoolNamePrefix: props.userPoolNamePrefix,
    UserPoolTier: props.userPoolTier,
    VerifyToken: props.verifyToken,
  };
}

export function renderCognitoM2MClientProperties(props: p.CognitoM2MClientProperties) {
  return {
    AllowedOAuthScopes: props.allowedOAuthScopes,
    ClientName: props.clientName,
    UserPoolId: props.userPool.userPoolId,
    AccessTokenValidityMinutes: props.accessTokenValidity?.toMinutes(),
    AdoptClientId: props.adoptClientId,
    RotateSecret: props.rotateSecret,
    RotationDays: props.rotationInterval?.toDays(),
    SecretKmsKeyId: props.secretKmsKey?.keyArn,
    SecretName: props.secretName,
    SecretReaders: props.secretReaders,
    SecretRecoveryWindowInDays: props.secretRecoveryWindow?.toDays(),
    SecretReplicas: props.secretReplicas?.map(renderSecretReplicaOptions),
    Tags: props.tags,
    TokenEndpointDomain: props.tokenEndpointDomain,
    VerifyToken: props.verifyToken,
  };
}

export function renderCognitoM2MResourceServerProperties(props: p.CognitoM2MResourceServerProperties) {
  return {
    Identifier: props.identifier,
    Scopes: props.scopes.map(renderScopeOptions),
    UserPoolId: props.userPool.userPoolId,
    Name: props.name,
  };
}
