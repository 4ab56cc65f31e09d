import { App } from 'aws-cdk-lib';
import { OrdersStack } from '../lib/orders-stack.ts';

const app = new App();

/** A value of cdk.json, or of `cdk deploy --context name=value`, which has precedence. */
const context = (name: string): string => app.node.getContext(name);

const environmentName = context('environmentName');
new OrdersStack(app, `orders-${environmentName}`, {
  environmentName,
  domainPrefix: context('domainPrefix'),
  partners: context('partners').split(',').filter((partner) => partner !== ''),
});
