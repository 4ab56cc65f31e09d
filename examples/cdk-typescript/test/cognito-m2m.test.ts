import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, type CfnElement, Duration, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as cognito from 'aws-cdk-lib/aws-cognito';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { CognitoM2M, type CognitoM2MProps } from '../lib/cognito-m2m.ts';
import { OrdersStack } from '../lib/orders-stack.ts';

const KEY_ARN = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';

/** A stack with the construct, and the logical id of its resource. */
function stackWith(props: CognitoM2MProps) {
  const stack = new Stack(new App(), 'Stack');
  const auth = new CognitoM2M(stack, 'Auth', props);
  return { stack, auth, id: logicalId(auth) };
}

function logicalId(auth: CognitoM2M): string {
  return Stack.of(auth).getLogicalId(auth.resource.node.defaultChild as CfnElement);
}

function propertiesOf(stack: Stack): unknown {
  const [resource] = Object.values(Template.fromStack(stack).findResources('Custom::CognitoM2M'));
  return resource?.['Properties'];
}

function namedClients(count: number) {
  return Array.from({ length: count }, (_, i) => ({ clientName: `client-${i}` }));
}

test('every property arrives under the name and in the unit that the resource knows', () => {
  const { stack } = stackWith({
    serviceToken: 'arn:aws:lambda:us-east-1:111122223333:function:provider',
    environmentName: 'prod',
    userPoolNamePrefix: 'orders',
    domainPrefix: 'acme-orders',
    projectTag: 'shop',
    tags: { team: 'blue' },
    resourceServers: [
      { identifier: 'orders', scopes: [{ scopeName: 'read' }] },
      { identifier: 'https://a.example', name: 'A', scopes: [{ scopeName: 'write', scopeDescription: 'Change' }] },
    ],
    clients: [
      { clientName: 'worker', allowedOAuthScopes: ['orders/read'], accessTokenValidity: Duration.hours(2) },
      { clientName: 'reporting' },
    ],
    userPoolTier: cognito.FeaturePlan.LITE,
    managedLoginVersion: cognito.ManagedLoginVersion.CLASSIC_HOSTED_UI,
    deletionProtection: true,
    secretNamePrefix: 'acme/orders',
    secretKmsKey: kms.Key.fromKeyArn(new Stack(), 'Key', KEY_ARN),
    secretRecoveryWindow: Duration.days(0),
    rotationInterval: Duration.days(30),
    rotateSecrets: '2026-11-22',
    verifyToken: false,
  });
  assert.deepEqual(propertiesOf(stack), {
    ServiceToken: 'arn:aws:lambda:us-east-1:111122223333:function:provider',
    ServiceTimeout: '1200',
    EnvironmentName: 'prod',
    UserPoolNamePrefix: 'orders',
    DomainPrefix: 'acme-orders',
    ProjectTag: 'shop',
    Tags: { team: 'blue' },
    ResourceServers: [
      { Identifier: 'orders', Scopes: [{ ScopeName: 'read' }] },
      { Identifier: 'https://a.example', Name: 'A', Scopes: [{ ScopeName: 'write', ScopeDescription: 'Change' }] },
    ],
    Clients: [
      { ClientName: 'worker', AllowedOAuthScopes: ['orders/read'], AccessTokenValidityMinutes: 120 },
      { ClientName: 'reporting' },
    ],
    UserPoolTier: 'LITE',
    ManagedLoginVersion: 1,
    DeletionProtection: 'ACTIVE',
    SecretNamePrefix: 'acme/orders',
    SecretKmsKeyId: KEY_ARN,
    SecretRecoveryWindowInDays: 0,
    RotationDays: 30,
    RotateSecrets: '2026-11-22',
    VerifyToken: false,
  });
});

test('what is not given is left to the provider', () => {
  const { stack } = stackWith({ clients: [{ clientName: 'worker' }] });
  assert.deepEqual(propertiesOf(stack), {
    ServiceToken: { 'Fn::ImportValue': 'cognito-m2m-ServiceToken' },
    ServiceTimeout: '1200',
    Clients: [{ ClientName: 'worker' }],
  });
});

test('the attributes are those of the resource', () => {
  const { stack, auth, id } = stackWith({ clients: [{ clientName: 'worker' }] });
  const attribute = (name: string) => ({ 'Fn::GetAtt': [id, name] });
  const expected: [unknown, unknown][] = [
    [auth.userPoolId, { Ref: id }],
    [auth.userPool.userPoolId, { Ref: id }],
    [auth.userPoolArn, attribute('UserPoolArn')],
    [auth.userPoolName, attribute('UserPoolName')],
    [auth.issuer, attribute('Issuer')],
    [auth.jwksUri, attribute('JwksUri')],
    [auth.discoveryUrl, attribute('DiscoveryUrl')],
    [auth.domain, attribute('Domain')],
    [auth.tokenEndpoint, attribute('TokenEndpoint')],
    [auth.clientIds, { 'Fn::Split': [',', attribute('ClientIds')] }],
    [auth.scopes, { 'Fn::Split': [' ', attribute('Scopes')] }],
    [auth.tokenVerification, attribute('TokenVerification')],
    [auth.client('worker').clientId, attribute('ClientId.worker')],
    [auth.client('worker').secret.secretArn, attribute('ClientSecretArn.worker')],
  ];
  assert.deepEqual(stack.resolve(expected.map(([token]) => token)), expected.map(([, template]) => template));
});

test('a role that may read a secret may read that one alone, and decrypt it', () => {
  const stack = new Stack(new App(), 'Stack');
  const auth = new CognitoM2M(stack, 'Auth', {
    clients: [{ clientName: 'worker' }, { clientName: 'reporting' }],
    secretKmsKey: new kms.Key(stack, 'Key'),
  });
  const role = new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
  auth.client('worker').secret.grantRead(role);
  const template = Template.fromStack(stack);
  template.hasResourceProperties('AWS::IAM::Policy', {
    PolicyDocument: {
      Statement: [
        {
          Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
          Effect: 'Allow',
          Resource: { 'Fn::GetAtt': [logicalId(auth), 'ClientSecretArn.worker'] },
        },
      ],
    },
  });
  template.hasResourceProperties('AWS::KMS::Key', {
    KeyPolicy: {
      Statement: Match.arrayWith([
        Match.objectLike({ Action: 'kms:Decrypt', Principal: { AWS: stack.resolve(role.roleArn) } }),
      ]),
    },
  });
});

test('an undeclared client is an error that names the declared ones', () => {
  const { auth } = stackWith({ clients: namedClients(2) });
  assert.throws(() => auth.client('client-2'), {
    message: "Stack/Auth has no client 'client-2'; declared are: client-0, client-1",
  });
});

test('with more than ten clients nothing asks for an attribute that may not be there', () => {
  const { stack, auth, id } = stackWith({ clients: namedClients(11) });
  const { clientId, secretName, secret } = auth.client('client-10');
  const name = { 'Fn::Join': ['', [{ 'Fn::GetAtt': [id, 'UserPoolName'] }, '/client-10']] };
  assert.deepEqual(stack.resolve(clientId), {
    'Fn::Select': [10, { 'Fn::Split': [',', { 'Fn::GetAtt': [id, 'ClientIds'] }] }],
  });
  assert.deepEqual(stack.resolve(secretName), name);

  const role = new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
  secret.grantRead(role);
  const policies = Template.fromStack(stack).findResources('AWS::IAM::Policy');
  const [resource] = Object.values(policies).map((policy) => policy['Properties'].PolicyDocument.Statement[0].Resource);
  const [, parts] = resource['Fn::Join'];
  assert.deepEqual(parts.slice(-3), [':secret:', { 'Fn::GetAtt': [id, 'UserPoolName'] }, '/client-10-??????']);
});

test('a secret with a prefix of its own is waited for too', () => {
  const { stack, auth, id } = stackWith({
    clients: namedClients(1),
    secretNamePrefix: 'acme',
    clientAttributes: false,
  });
  new ssm.StringParameter(stack, 'SecretName', { stringValue: auth.client('client-0').secretName });
  Template.fromStack(stack).hasResourceProperties('AWS::SSM::Parameter', {
    Value: { 'Fn::Join': ['', [{ 'Fn::Select': [0, ['acme', { Ref: id }]] }, '/client-0']] },
  });
});

test('each partner gets a client that may look at orders', () => {
  const stack = new OrdersStack(new App(), 'orders-dev', {
    providerStackName: 'platform',
    environmentName: 'dev',
    domainPrefix: 'acme',
    partners: ['globex'],
  });
  Template.fromStack(stack).hasResourceProperties('Custom::CognitoM2M', {
    ServiceToken: { 'Fn::ImportValue': 'platform-ServiceToken' },
    Clients: Match.arrayWith([{ ClientName: 'partner-globex', AllowedOAuthScopes: ['orders/read'] }]),
  });
});
