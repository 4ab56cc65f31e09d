import { test } from 'node:test';
import { App } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { OrdersStack } from '../lib/orders-stack.ts';

test('each partner gets a client that may look at orders', () => {
  const stack = new OrdersStack(new App(), 'orders-dev', {
    environmentName: 'dev',
    domainPrefix: 'acme',
    partners: ['globex'],
  });
  Template.fromStack(stack).hasResourceProperties('Custom::CognitoM2M', {
    DomainPrefix: 'acme',
    Clients: Match.arrayWith([{ ClientName: 'partner-globex', AllowedOAuthScopes: ['orders/read'] }]),
  });
});
