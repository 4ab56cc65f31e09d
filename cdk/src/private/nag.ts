/** An answer to a finding of cdk-nag. */
interface Answer {
  readonly id: string;
  readonly reason: string;
}

/** The answers to the findings of the pack AwsSolutions, by the type of the resource. */
export const ANSWERS: { [type: string]: Answer[] } = {
  'AWS::SQS::Queue': [
    { id: 'AwsSolutions-SQS3', reason: 'This queue keeps events that failed; a queue behind it would keep nothing more.' },
    {
      id: 'AwsSolutions-SQS4',
      reason: 'Only the AWS services Lambda and EventBridge send to this queue, and they use TLS.',
    },
  ],
};

const REASON =
  'The names of user pools and secrets are not known before the functions create them. Conditions on tags, regions and ' +
  'the secrets\' names restrict each statement: see docs/security.md of the project.';

/** Returns the answers to the wildcards in policies. cdk-nag wants one for each. */
export function wildcards(policies: any[]): Answer[] {
  const resources = policies.flatMap(({ policyDocument }) =>
    policyDocument.Statement.flatMap(({ Resource }: any) => [Resource].flat().map(asNagWritesIt)),
  );
  const found = new Set<string>(resources.filter((resource) => resource.includes('*')));
  return [...found].map((resource) => ({ id: `AwsSolutions-IAM5[Resource::${resource}]`, reason: REASON }));
}

/** Writes a resource as cdk-nag does in the ids of its findings. */
function asNagWritesIt(resource: any): string {
  if (typeof resource === 'string') {
    return resource;
  }
  const join = resource['Fn::Join'];
  if (join !== undefined) {
    return join[1].map(asNagWritesIt).join(join[0]);
  }
  const sub = resource['Fn::Sub'];
  if (typeof sub === 'string') {
    return sub.replace(/\$\{(.*?)\}/g, '<$1>');
  }
  return resource.Ref === undefined ? '' : `<${resource.Ref}>`;
}
