'use strict';
// The constructs, against the templates that they make. They test what `npm run build` has built.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { App, Duration, Fn, Lazy, RemovalPolicy, SecretValue, Stack, Tags } = require('aws-cdk-lib');
const { Annotations, Match, Template } = require('aws-cdk-lib/assertions');
const acm = require('aws-cdk-lib/aws-certificatemanager');
const apigateway = require('aws-cdk-lib/aws-apigatewayv2');
const cognito = require('aws-cdk-lib/aws-cognito');
const iam = require('aws-cdk-lib/aws-iam');
const kms = require('aws-cdk-lib/aws-kms');
const lambda = require('aws-cdk-lib/aws-lambda');
const sns = require('aws-cdk-lib/aws-sns');
const ssm = require('aws-cdk-lib/aws-ssm');
const { AwsSolutionsChecks } = require('cdk-nag');
const { violations } = require('../lib/private/check');
const {
  CognitoM2M,
  CognitoM2MClient,
  CognitoM2MProvider,
  CognitoM2MResourceServer,
  SecurityPolicy,
  TokenEndpointDomain,
  TokenService,
} = require('..');

const KEY_ARN = 'arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const CERTIFICATE_ARN = 'arn:aws:acm:us-east-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab';
const TOKEN = 'arn:aws:lambda:us-east-1:111122223333:function:provider';

function stackWith(props) {
  const stack = new Stack(new App(), 'Stack');
  const provider = CognitoM2MProvider.fromServiceToken(stack, 'Provider', TOKEN);
  return { stack, auth: new CognitoM2M(stack, 'Auth', { provider, ...props }) };
}

function only(stack, type) {
  const resources = Object.entries(Template.fromStack(stack).findResources(type));
  assert.equal(resources.length, 1, type);
  const [id, resource] = resources[0];
  return { id, ...resource };
}

function role(stack) {
  return new iam.Role(stack, 'Role', { assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com') });
}

function named(count) {
  return Array.from({ length: count }, (_, index) => ({ clientName: `client-${index}` }));
}

/** The message of the synthesis, which has to fail. */
function refusal(stack) {
  try {
    Template.fromStack(stack);
  } catch (error) {
    return error.message;
  }
  return assert.fail('the synthesis succeeded');
}

test('every property arrives under the name and in the unit that the resource knows', () => {
  const { stack } = stackWith({
    environmentName: 'prod',
    domainPrefix: 'acme-orders',
    resourceServers: [
      { identifier: 'https://a.example', name: 'A', scopes: [{ scopeName: 'write', scopeDescription: 'Change' }] },
    ],
    clients: [
      {
        clientName: 'worker',
        allowedOAuthScopes: ['https://a.example/write'],
        accessTokenValidity: Duration.hours(2),
        secretReaders: ['arn:aws:iam::111122223333:role/reader'],
      },
      { clientName: 'reporting' },
    ],
    userPoolTier: cognito.FeaturePlan.LITE,
    managedLoginVersion: cognito.ManagedLoginVersion.CLASSIC_HOSTED_UI,
    deletionProtection: true,
    secretKmsKey: kms.Key.fromKeyArn(new Stack(), 'Key', KEY_ARN),
    secretReplicas: [{ region: 'eu-west-1' }],
    secretRecoveryWindow: Duration.days(0),
    rotationInterval: Duration.days(30),
    sharedWithStacks: ['team-'],
    tags: { team: 'blue' },
    verifyToken: false,
  });
  assert.deepEqual(only(stack, 'Custom::CognitoM2M').Properties, {
    ServiceToken: TOKEN,
    ServiceTimeout: 1200,
    EnvironmentName: 'prod',
    DomainPrefix: 'acme-orders',
    ResourceServers: [
      { Identifier: 'https://a.example', Name: 'A', Scopes: [{ ScopeName: 'write', ScopeDescription: 'Change' }] },
    ],
    Clients: [
      {
        ClientName: 'worker',
        AllowedOAuthScopes: ['https://a.example/write'],
        AccessTokenValidityMinutes: 120,
        SecretReaders: ['arn:aws:iam::111122223333:role/reader'],
      },
      { ClientName: 'reporting' },
    ],
    UserPoolTier: 'LITE',
    ManagedLoginVersion: 1,
    DeletionProtection: 'ACTIVE',
    SecretKmsKeyId: KEY_ARN,
    SecretReplicas: [{ Region: 'eu-west-1' }],
    SecretRecoveryWindowInDays: 0,
    RotationDays: 30,
    SharedWithStacks: ['team-'],
    Tags: { team: 'blue' },
    VerifyToken: false,
  });
});

test('a custom domain takes a certificate and gives the target of its DNS record', () => {
  const certificate = acm.Certificate.fromCertificateArn(new Stack(), 'Certificate', CERTIFICATE_ARN);
  const { stack, auth } = stackWith({
    customDomain: { domainName: 'auth.example.com', certificate, securityPolicy: SecurityPolicy.TLS_V1_3_2025 },
    tokenEndpointDomain: TokenEndpointDomain.CUSTOM,
  });
  const { id, Properties } = only(stack, 'Custom::CognitoM2M');
  assert.deepEqual(Properties, {
    ServiceToken: TOKEN,
    ServiceTimeout: 1200,
    CustomDomain: { DomainName: 'auth.example.com', CertificateArn: CERTIFICATE_ARN, SecurityPolicy: 'TLS_V1_3_2025' },
    TokenEndpointDomain: 'CUSTOM',
  });
  assert.deepEqual(stack.resolve(auth.customDomainTarget), { 'Fn::GetAtt': [id, 'CustomDomainTarget'] });
});

test('the provider may make custom domains if a resource of the app has one', () => {
  const certificate = acm.Certificate.fromCertificateArn(new Stack(), 'Certificate', CERTIFICATE_ARN);
  const sids = (props, providerProps) => {
    const stack = new Stack(new App(), 'Stack');
    const provider = new CognitoM2MProvider(stack, 'Provider', providerProps);
    new CognitoM2M(stack, 'Auth', { provider, ...props });
    const roles = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Role'));
    return roles.flatMap(({ Properties }) => Properties.Policies[0].PolicyDocument.Statement.map(({ Sid }) => Sid));
  };
  const sid = 'UpdateDistributionsOfCustomDomains';
  assert.ok(!sids({}).includes(sid));
  assert.ok(sids({ customDomain: { domainName: 'auth.example.com', certificate } }).includes(sid));
  assert.ok(sids({}, { customDomains: true }).includes(sid));
});

test('an attribute that the resource will not have is an error', () => {
  assert.throws(() => stackWith({}).auth.customDomainTarget, /Stack\/Auth has no customDomain/);
  assert.throws(() => stackWith({ tokenService: TokenService.API }).auth.domain, /Stack\/Auth has no domain/);
});

test('a pool without a domain is declared by its token service', () => {
  const { stack } = stackWith({ tokenService: TokenService.API });
  assert.equal(only(stack, 'Custom::CognitoM2M').Properties.TokenService, 'API');
  const { stack: broken } = stackWith({ tokenService: TokenService.API, domainPrefix: 'acme' });
  assert.match(refusal(broken), /Stack\/Auth\/Resource\] DomainPrefix/);
});

test('what is not given is left to the provider', () => {
  const { stack, auth } = stackWith({});
  const { id, Properties, DeletionPolicy } = only(stack, 'Custom::CognitoM2M');
  assert.deepEqual(Properties, { ServiceToken: TOKEN, ServiceTimeout: 1200 });
  assert.equal(DeletionPolicy, 'Delete');
  assert.deepEqual(stack.resolve(auth.client().secret.secretArn), { 'Fn::GetAtt': [id, 'ClientSecretArn'] });
  assert.deepEqual(stack.resolve(auth.client().clientId), { 'Fn::GetAtt': [id, 'ClientId'] });
});

test('the attributes are those of the resource', () => {
  const { stack, auth } = stackWith({ clients: [{ clientName: 'worker' }] });
  const { id } = only(stack, 'Custom::CognitoM2M');
  const attribute = (name) => ({ 'Fn::GetAtt': [id, name] });
  const expected = [
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
    [auth.client().clientId, attribute('ClientId.worker')],
  ];
  assert.deepEqual(stack.resolve(expected.map(([token]) => token)), expected.map(([, template]) => template));
});

test('a role that may read a secret may read only that one, and decrypt it', () => {
  const stack = new Stack(new App(), 'Stack');
  const auth = new CognitoM2M(stack, 'Auth', { clients: named(2), secretKmsKey: new kms.Key(stack, 'Key') });
  const reader = role(stack);
  auth.grantRead(reader, 'client-1');
  const { id } = only(stack, 'Custom::CognitoM2M');
  const template = Template.fromStack(stack);
  template.hasResourceProperties('AWS::IAM::Policy', {
    PolicyDocument: {
      Statement: [
        {
          Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
          Effect: 'Allow',
          Resource: { 'Fn::GetAtt': [id, 'ClientSecretArn.client-1'] },
        },
      ],
    },
  });
  template.hasResourceProperties('AWS::KMS::Key', {
    KeyPolicy: {
      Statement: Match.arrayWith([
        Match.objectLike({ Action: 'kms:Decrypt', Principal: { AWS: stack.resolve(reader.roleArn) } }),
      ]),
    },
  });
});

test('both roles may use the keys of the resources, and no statement is left if there are none', () => {
  const statements = (key) => {
    const stack = new Stack(new App(), 'Stack');
    new CognitoM2M(stack, 'Auth', { secretKmsKey: key && kms.Key.fromKeyArn(stack, 'Key', KEY_ARN) });
    const roles = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Role'));
    assert.equal(roles.length, 2);
    return roles.flatMap((each) => each.Properties.Policies[0].PolicyDocument.Statement);
  };
  const about = (all) => all.filter(({ Sid }) => Sid === 'EncryptSecrets').map(({ Resource }) => Resource);
  assert.deepEqual(about(statements(true)), [[KEY_ARN], [KEY_ARN]]);
  assert.deepEqual(about(statements(false)), []);
});

test('a second provider in a stack is an error, and a key of another stack is warned about', () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  const provider = new CognitoM2MProvider(stack, 'Provider');
  assert.throws(() => new CognitoM2MProvider(stack, 'Second'), /Stack\/Second: the stack has a provider already, Stack\/Provider/);
  const other = new Stack(app, 'Other');
  new CognitoM2M(other, 'Auth', { provider, secretKmsKey: new kms.Key(other, 'Key') });
  Annotations.fromStack(stack).hasWarning('/Stack/Provider', Match.stringLikeRegexp('may not use Other/Key'));
});

test('an undeclared client is an error that names the declared ones', () => {
  const { auth } = stackWith({ clients: named(2) });
  assert.throws(() => auth.client('client-2'), {
    message: "Stack/Auth has no client 'client-2'; declared are: client-0, client-1",
  });
});

test('with more than ten clients nothing asks for an attribute that may not be there', () => {
  const { stack, auth } = stackWith({ clients: named(11) });
  const { clientId, secretName, secret } = auth.client('client-10');
  secret.grantRead(role(stack));
  const { id } = only(stack, 'Custom::CognitoM2M');
  const name = { 'Fn::Join': ['', [{ 'Fn::GetAtt': [id, 'UserPoolName'] }, '/client-10']] };
  assert.deepEqual(stack.resolve(clientId), {
    'Fn::Select': [10, { 'Fn::Split': [',', { 'Fn::GetAtt': [id, 'ClientIds'] }] }],
  });
  assert.deepEqual(stack.resolve(secretName), name);
  const policy = only(stack, 'AWS::IAM::Policy').Properties.PolicyDocument.Statement[0];
  const [, parts] = policy.Resource['Fn::Join'];
  assert.deepEqual(parts.slice(-3), [':secret:', { 'Fn::GetAtt': [id, 'UserPoolName'] }, '/client-10-??????']);
});

test('a secret with a prefix of its own is waited for too', () => {
  const { stack, auth } = stackWith({ clients: named(1), secretNamePrefix: 'acme', clientAttributes: false });
  new ssm.StringParameter(stack, 'SecretName', { stringValue: auth.client('client-0').secretName });
  const { id } = only(stack, 'Custom::CognitoM2M');
  assert.deepEqual(only(stack, 'AWS::SSM::Parameter').Properties.Value, {
    'Fn::Join': ['', [{ 'Fn::Select': [0, ['acme', { Ref: id }]] }, '/client-0']],
  });
});

test('tags of a scope reach the pool and the secrets, and the provider too', () => {
  const stack = new Stack(new App(), 'Stack');
  new CognitoM2M(stack, 'Auth', { tags: { team: 'blue' } });
  new CognitoM2MClient(stack, 'Client', {
    userPool: cognito.UserPool.fromUserPoolId(stack, 'Pool', 'us-east-1_AbCdEfGhI'),
    clientName: 'worker',
    allowedOAuthScopes: ['orders/read'],
  });
  Tags.of(stack).add('CostCenter', '42');
  assert.deepEqual(only(stack, 'Custom::CognitoM2M').Properties.Tags, { team: 'blue', CostCenter: '42' });
  assert.deepEqual(only(stack, 'Custom::CognitoM2MClient').Properties.Tags, { CostCenter: '42' });
  Template.fromStack(stack).allResourcesProperties('AWS::Lambda::Function', {
    Tags: [{ Key: 'CostCenter', Value: '42' }],
  });
});

test('a pool that is to be retained is not deleted', () => {
  const { stack } = stackWith({ removalPolicy: RemovalPolicy.RETAIN });
  assert.equal(only(stack, 'Custom::CognitoM2M').DeletionPolicy, 'Retain');
});

test('a client and a server of another stack go into a shared pool', () => {
  const stack = new Stack(new App(), 'Stack');
  const provider = CognitoM2MProvider.fromServiceToken(stack, 'Provider', Fn.importValue('platform-ServiceToken'));
  const userPool = cognito.UserPool.fromUserPoolId(stack, 'Pool', Fn.importValue('platform-UserPoolId'));
  const server = new CognitoM2MResourceServer(stack, 'Server', {
    provider,
    userPool,
    identifier: 'orders',
    scopes: [{ scopeName: 'read' }],
  });
  const client = new CognitoM2MClient(stack, 'Client', {
    provider,
    userPool,
    clientName: 'worker',
    allowedOAuthScopes: [server.scope('read')],
    rotationInterval: Duration.days(7),
  });
  client.grantRead(role(stack));
  const serverId = only(stack, 'Custom::CognitoM2MResourceServer').id;
  const { id, Properties } = only(stack, 'Custom::CognitoM2MClient');
  assert.deepEqual(Properties, {
    ServiceToken: { 'Fn::ImportValue': 'platform-ServiceToken' },
    ServiceTimeout: 1200,
    UserPoolId: { 'Fn::ImportValue': 'platform-UserPoolId' },
    ClientName: 'worker',
    AllowedOAuthScopes: [{ 'Fn::Join': ['', [{ 'Fn::GetAtt': [serverId, 'Identifier'] }, '/read']] }],
    RotationDays: 7,
  });
  assert.deepEqual(stack.resolve(client.clientId), { Ref: id });
  assert.deepEqual(only(stack, 'AWS::IAM::Policy').Properties.PolicyDocument.Statement[0].Resource, {
    'Fn::GetAtt': [id, 'ClientSecretArn'],
  });
});

test('an undeclared scope of a server is an error, unless CloudFormation knows the names', () => {
  const { stack, auth: { provider, userPool } } = stackWith({});
  const server = (id, scopeName) =>
    new CognitoM2MResourceServer(stack, id, { provider, userPool, identifier: id, scopes: [{ scopeName }] });
  assert.throws(() => server('orders', 'read').scope('raed'), {
    message: "Stack/orders has no scope 'raed'; declared are: read",
  });
  assert.ok(server('stock', Fn.importValue('Scope')).scope('read').endsWith('/read'));
});

test('an HTTP API accepts the tokens of all clients, or of those that are named', () => {
  const { stack, auth } = stackWith({ clients: named(2) });
  const authorizer = auth.httpJwtAuthorizer('Jwt', ['client-1']);
  const api = new apigateway.HttpApi(stack, 'Api', { defaultAuthorizer: authorizer });
  const url = new (require('aws-cdk-lib/aws-apigatewayv2-integrations').HttpUrlIntegration)('I', 'https://example.com');
  api.addRoutes({ path: '/orders', integration: url, authorizationScopes: ['orders/read'] });
  const { id } = only(stack, 'Custom::CognitoM2M');
  const attribute = (name) => ({ 'Fn::GetAtt': [id, name] });
  assert.deepEqual(only(stack, 'AWS::ApiGatewayV2::Authorizer').Properties.JwtConfiguration, {
    Audience: [attribute('ClientId.client-1')],
    Issuer: attribute('Issuer'),
  });
});

test('the resources of a stack share one provider, and stacks do not share one that nobody has made', () => {
  const app = new App();
  const [one, other] = ['One', 'Other'].map((id) => new Stack(app, id));
  const [a, b] = ['A', 'B'].map((id) => new CognitoM2M(one, id));
  const c = new CognitoM2M(other, 'C');
  assert.equal(a.provider, b.provider);
  assert.notEqual(a.provider, c.provider);
  Template.fromStack(one).resourceCountIs('AWS::Lambda::Function', 2);
});

test('a provider that the app has made serves its stacks of the same account and region', () => {
  const app = new App();
  const platform = new Stack(app, 'Platform');
  const provider = new CognitoM2MProvider(platform, 'Provider');
  const team = new Stack(app, 'Team');
  const elsewhere = new Stack(app, 'Elsewhere', { env: { region: 'eu-west-1' } });
  assert.equal(new CognitoM2M(team, 'Auth').provider, provider);
  assert.notEqual(new CognitoM2M(elsewhere, 'Auth').provider, provider);
  Template.fromStack(team).resourceCountIs('AWS::Lambda::Function', 0);
  assert.deepEqual(team.dependencies.map((stack) => stack.node.id), ['Platform']);
});

test('the resource lives no longer than the functions, their roles and their logs', () => {
  const stack = new Stack(new App(), 'Stack');
  new CognitoM2M(stack, 'Auth');
  const { DependsOn } = only(stack, 'Custom::CognitoM2M');
  const resources = Template.fromStack(stack).toJSON().Resources;
  const types = DependsOn.map((id) => resources[id].Type).sort();
  assert.deepEqual([...new Set(types)], [
    'AWS::IAM::Role',
    'AWS::Lambda::EventInvokeConfig',
    'AWS::Lambda::Function',
    'AWS::Lambda::Permission',
    'AWS::Logs::LogGroup',
    'AWS::SQS::Queue',
  ]);
});

test('alarms, boundary and architecture are those of the properties', () => {
  const stack = new Stack(new App(), 'Stack');
  new CognitoM2MProvider(stack, 'Provider', {
    alarmTopic: sns.Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:us-east-1:111122223333:alarms'),
    permissionsBoundary: iam.ManagedPolicy.fromManagedPolicyName(stack, 'Boundary', 'limits'),
    secretsPrefix: 'acme/',
  });
  const template = Template.fromStack(stack);
  template.resourceCountIs('AWS::CloudWatch::Alarm', 4);
  template.allResourcesProperties('AWS::IAM::Role', { PermissionsBoundary: Match.anyValue() });
  assert.match(JSON.stringify(template.toJSON()), /:secret:acme\/\*/);
  assert.equal(template.toJSON().Conditions, undefined);
  const missing = new lambda.Architecture('z80', 'linux/z80');
  assert.throws(() => new CognitoM2MProvider(new Stack(), 'Other', { architecture: missing }), /no code for z80/);
});

test('what breaks a rule fails the synthesis, with the path of the construct and of each property', () => {
  const { stack } = stackWith({
    environmentName: 'prod',
    domainPrefix: 'my-aws',
    projectTag: 'a;b',
    userPoolTier: cognito.FeaturePlan.LITE,
    resourceServers: [{ identifier: 'https://a.example', scopes: [{ scopeName: 'a b' }] }],
    clients: [{ clientName: 'a/b', accessTokenValidity: Duration.minutes(4), allowedOAuthScopes: ['x', 'x'] }],
    secretRecoveryWindow: Duration.days(5),
    sharedWithStacks: ['a b'],
    tags: { Project: 'mine' },
  });
  const message = refusal(stack);
  for (const expected of [
    '[Stack/Auth/Resource] ProjectTag: must be at most 256 characters matching [\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*, but is "a;b"',
    'DomainPrefix: the domain must not contain the word aws, which Cognito reserves, but is "my-aws-prod"',
    'ManagedLoginVersion: must be 1 if UserPoolTier is LITE, but is 2 (the default)',
    'ResourceServers[0].Name: must be given, because the default, the Identifier "https://a.example", is not valid as',
    'ResourceServers[0].Scopes[0].ScopeName: must be 1 to 256 characters matching',
    'Clients[0].ClientName: must be 1 to 128 characters matching [A-Za-z0-9_+=.@-]{1,128}, but is "a/b"',
    'Clients[0].AccessTokenValidityMinutes: must be a whole number, 5 to 1440, but is "4"',
    'Clients[0].AllowedOAuthScopes[0]: must be a scope declared in ResourceServers, written <Identifier>/<ScopeName>, but is "x"',
    'SecretRecoveryWindowInDays: must be a whole number, 0 or 7 to 30, but is "5"',
    'SharedWithStacks[0]: must be 1 to 128 characters matching [A-Za-z][A-Za-z0-9-]*, but is "a b"',
    'Tags.Project: the tag\'s key must not be "Project", because the resource sets this tag itself',
  ]) {
    assert.ok(message.includes(expected), `${expected}\nis not in\n${message}`);
  }
});

const SCHEMAS = path.join(__dirname, '..', 'schemas');
const schemaOf = (type) => JSON.parse(fs.readFileSync(path.join(SCHEMAS, `${type.replace('::', '-')}.json`), 'utf8'));
const CASES = JSON.parse(fs.readFileSync(path.join(__dirname, '../../tests/tools/lint_cases.json'), 'utf8'));

/** Tells whether only a deployment knows what is wrong, as in tests/tools/test_lint_rule.py. */
function isBeyond({ properties, violations: [[name, rule]] }) {
  const beyond = ['must be in the partition ', 'needs SecretKmsKeyId ', 'must be another region ', 'must begin with arn:aws:acm:'];
  const isOfDefaultClient = name === 'SecretNamePrefix' && !properties?.Clients && rule.startsWith("the secret's name");
  return beyond.some((start) => rule.startsWith(start)) || isOfDefaultClient || properties?.DomainPrefix?.Ref === 'x';
}

test('the check says what the parser says, with the same path and words', () => {
  let [wrong, beyond] = [0, 0];
  for (const [type, cases] of Object.entries(CASES)) {
    for (const each of [...cases.wrong, ...cases.right]) {
      const isUnknowable = each.violations.length > 0 && isBeyond(each);
      const expected = isUnknowable ? [] : each.violations.map(([name, rule]) => `${name}: ${rule}`);
      assert.deepEqual(violations(schemaOf(type), each.properties).sort(), expected.sort(), JSON.stringify(each.properties));
      wrong += each.violations.length > 0;
      beyond += isUnknowable;
    }
  }
  assert.ok(wrong > 250 && beyond < 10, `${wrong} wrong, ${beyond} of them beyond`);
});

test('the check says everything at once, as the parser does', () => {
  const said = (properties) => violations(schemaOf('Custom::CognitoM2M'), properties);
  // A property that is not valid counts as its default, so that what depends on it is still checked.
  assert.deepEqual(said({ EnvironmentName: 'Prod', DomainPrefix: 'aws-amazon' }).map((each) => each.split(', but is ')), [
    ['EnvironmentName: must be 1 to 32 characters matching [a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?', '"Prod"'],
    ['DomainPrefix: the domain must not contain the word aws, which Cognito reserves', '"aws-amazon-dev"'],
    ['DomainPrefix: the domain must not contain the word amazon, which Cognito reserves', '"aws-amazon-dev"'],
  ]);
  // All three names are too long, and the first two look alike in a message.
  const clients = ['aa', 'bb', 'aab'].map((name) => ({ ClientName: name }));
  const names = said({ SecretNamePrefix: 's'.repeat(510), Clients: clients });
  assert.deepEqual(names.map((each) => each.slice(-4)), [' 513', ' 514']);
  // The default client's name contains the pool's name. If that is too long by itself, it says enough.
  const paths = (properties) => said(properties).map((each) => each.split(':')[0]).sort();
  assert.deepEqual(paths({ UserPoolNamePrefix: 'a b'.repeat(42) }), ['SecretNamePrefix', 'UserPoolNamePrefix']);
  assert.deepEqual(paths({ UserPoolNamePrefix: 'a b' }), ['Clients', 'SecretNamePrefix']);
});

test('the check knows every keyword of the schemas', () => {
  const notes = ['$schema', '$comment', 'title', 'description'];
  // What the check reads says the same as these: x-unknown, x-unique, x-names, and the patterns of numbers.
  const said = ['additionalProperties', 'uniqueItems', 'else', 'minimum', 'maximum', 'maxProperties'];
  const source = fs.readFileSync(path.join(__dirname, '../src/private/check.ts'), 'utf8');
  const isRead = (keyword) => new RegExp(`\\.${keyword}\\b|'${keyword}'`).test(source);
  const unknown = new Set();
  const walk = (schema) => {
    for (const [keyword, value] of Object.entries(schema)) {
      if (![...notes, ...said].includes(keyword) && !isRead(keyword)) {
        unknown.add(keyword);
      }
      if (keyword === 'properties') {
        Object.values(value).forEach(walk);
      } else if (['items', 'additionalProperties', 'propertyNames', 'allOf', 'anyOf', 'not', 'if', 'then', 'else'].includes(keyword)) {
        [value].flat().filter(Boolean).forEach(walk);
      }
    }
  };
  Object.keys(CASES).map(schemaOf).forEach(walk);
  assert.deepEqual([...unknown], []);
});

test('nothing is said about what CloudFormation resolves later', () => {
  const value = (name) => Fn.importValue(name);
  const { stack } = stackWith({
    environmentName: value('a'),
    domainPrefix: Fn.join('-', [value('b'), 'C']),
    userPoolNamePrefix: `${value('c')} d`,
    secretNamePrefix: SecretValue.ssmSecure('/Prefix', '1').unsafeUnwrap(),
    resourceServers: [{ identifier: value('d'), scopes: [{ scopeName: value('e') }, { scopeName: value('e') }] }],
    clients: [
      { clientName: 'worker', allowedOAuthScopes: Fn.split(',', value('f')) },
      { clientName: value('g'), allowedOAuthScopes: [`${value('g')}/read`, 'a/b'] },
      { clientName: value('g'), accessTokenValidity: Duration.minutes(Lazy.number({ produce: () => Fn.importValue('x') })) },
    ],
    sharedWithStacks: [value('h'), value('h'), Fn.ref('AWS::NoValue')],
    tags: { team: value('i') },
  });
  Template.fromStack(stack).resourceCountIs('Custom::CognitoM2M', 1);
  const include = { 'Fn::Transform': { Name: 'AWS::Include', Parameters: { Location: 's3://a/b' } } };
  for (const properties of [
    { ...include, UserPoolTier: 'LITE' },
    { Clients: [{ ...include }, { ...include, AllowedOAuthScopes: ['m2m-client/read'] }] },
    { Clients: { Ref: 'AWS::NoValue' }, UserPoolNamePrefix: 'a b', SecretNamePrefix: { Ref: 'Prefix' } },
    { Tags: { ...include, a: '1' }, ResourceServers: { 'Fn::If': ['Prod', [], []] }, SecretReplicas: include },
    { TokenService: { Ref: 'Service' }, DomainPrefix: 'aws', CustomDomain: { Ref: 'AWS::NoValue' } },
    { TokenService: 'API', DomainPrefix: { Ref: 'AWS::NoValue' } },
    { SharedWithStacks: Array(129).fill({ 'Fn::If': ['Prod', 'team-', { Ref: 'AWS::NoValue' }] }) },
  ]) {
    assert.deepEqual(violations(schemaOf('Custom::CognitoM2M'), properties), [], JSON.stringify(properties));
  }
});

test("cdk-nag's pack AwsSolutions finds nothing that is not answered", () => {
  const app = new App();
  const stack = new Stack(app, 'Stack');
  const alarmTopic = sns.Topic.fromTopicArn(stack, 'Topic', 'arn:aws:sns:us-east-1:111122223333:alarms');
  for (const [id, props] of [['Full', { alarmTopic, secretsPrefix: 'acme/' }], ['Plain', {}]]) {
    const provider = new CognitoM2MProvider(new Stack(app, `${id}Provider`), 'Provider', props);
    new CognitoM2M(new Stack(app, id), 'Auth', { provider });
  }
  const { violations } = new AwsSolutionsChecks(app).validateScope(app);
  assert.deepEqual(violations.map(({ ruleName, violatingResources: [{ constructPath }] }) => [ruleName, constructPath]), []);
});

test('the template is the one in the snapshot (UPDATE_SNAPSHOTS=1 writes it)', () => {
  const stack = new Stack(new App(), 'Stack');
  new CognitoM2M(stack, 'Auth', { domainPrefix: 'acme', clients: named(1), rotationInterval: Duration.days(30) });
  // The hash of the functions' code, which changes with each build, and its processor.
  const template = JSON.stringify(Template.fromStack(stack).toJSON(), null, 1)
    .replace(/[0-9a-f]{64}/g, 'HASH')
    .replace('"arm64"', '"x86_64"')
    .replace('"arm64"', '"x86_64"');
  const file = path.join(__dirname, 'snapshot.json');
  if (process.env.UPDATE_SNAPSHOTS) {
    fs.writeFileSync(file, `${template}\n`);
  }
  assert.deepEqual(JSON.parse(template), JSON.parse(fs.readFileSync(file, 'utf8')));
});

test('a package is small enough', () => {
  const limit = 15 * 1024 * 1024;
  const folder = path.join(__dirname, '..', 'dist', 'js');
  for (const file of fs.readdirSync(folder)) {
    const { size } = fs.statSync(path.join(folder, file));
    // A debug build has functions of three times the size.
    assert.ok(size < limit || process.env.ANY_SIZE, `${file} has ${size} bytes`);
  }
});
