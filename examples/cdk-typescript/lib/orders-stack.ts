import { CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as ssm from 'aws-cdk-lib/aws-ssm';
import { CognitoM2M } from 'cdk-cognito-m2m';
import type { Construct } from 'constructs';

export interface OrdersStackProps extends StackProps {
  /** The end of the names of the pool, the domain and the parameters. */
  readonly environmentName: string;

  /** The domain is `<domainPrefix>-<environmentName>`. Domains are unique in a region over all AWS accounts. */
  readonly domainPrefix: string;

  /** Other companies that may look at orders. Each gets a client of its own, `partner-<name>`. */
  readonly partners: readonly string[];
}

/** What the team behind orders and invoices deploys: who may call its two APIs, and how the callers find out. */
export class OrdersStack extends Stack {
  constructor(scope: Construct, id: string, props: OrdersStackProps) {
    super(scope, id, props);

    const auth = new CognitoM2M(this, 'Auth', {
      environmentName: props.environmentName,
      userPoolNamePrefix: 'orders',
      domainPrefix: props.domainPrefix,
      projectTag: 'orders',
      tags: { Team: 'orders' },
      resourceServers: [
        {
          identifier: 'orders',
          name: 'Orders API',
          scopes: [
            { scopeName: 'read', scopeDescription: 'See orders' },
            { scopeName: 'write', scopeDescription: 'Place and change orders' },
          ],
        },
        {
          identifier: 'invoices',
          name: 'Invoices API',
          scopes: [
            { scopeName: 'read', scopeDescription: 'See invoices' },
            { scopeName: 'issue', scopeDescription: 'Issue invoices' },
          ],
        },
      ],
      clients: [
        {
          clientName: 'web-shop',
          allowedOAuthScopes: ['orders/read', 'orders/write'],
          accessTokenValidity: Duration.hours(2),
        },
        { clientName: 'billing', allowedOAuthScopes: ['orders/read', 'invoices/read', 'invoices/issue'] },
        {
          clientName: 'reporting',
          allowedOAuthScopes: ['orders/read', 'invoices/read'],
          accessTokenValidity: Duration.minutes(5),
        },
        ...props.partners.map((partner) => ({
          clientName: `partner-${partner}`,
          allowedOAuthScopes: ['orders/read'],
        })),
      ],
    });

    // Billing runs as this role. It can read its own credentials and nobody else's.
    const billing = new iam.Role(this, 'BillingRole', {
      assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
    });
    auth.client('billing').grantRead(billing);

    // An API finds here whose tokens it takes, and the reporting job who it is. Neither is a secret.
    new ssm.StringParameter(this, 'Issuer', {
      parameterName: `/orders/${props.environmentName}/issuer`,
      stringValue: auth.issuer,
    });
    new ssm.StringParameter(this, 'ReportingClientId', {
      parameterName: `/orders/${props.environmentName}/reporting/client-id`,
      stringValue: auth.client('reporting').clientId,
    });

    new CfnOutput(this, 'UserPoolId', { value: auth.userPoolId });
    new CfnOutput(this, 'TokenEndpoint', { value: auth.tokenEndpoint });
    new CfnOutput(this, 'WebShopSecretArn', { value: auth.client('web-shop').secret.secretArn });
    new CfnOutput(this, 'BillingSecretArn', { value: auth.client('billing').secret.secretArn });
    new CfnOutput(this, 'BillingRoleArn', { value: billing.roleArn });
  }
}
