import * as fs from 'fs';
import * as os from 'os';
import * as path from 'path';
import { PACKAGE } from './resource';

const FUNCTIONS = path.join(PACKAGE, 'functions');

/** Returns the path of a function's zip file. */
export function codeOf(name: string, architecture: string): string {
  // Lambda's name for the processor, which the files of a release have, too.
  const file = path.join(FUNCTIONS, `${name}-${architecture}.zip`);
  if (!fs.existsSync(file)) {
    throw new Error(
      `cdk-cognito-m2m has no code for ${architecture} in this package; it has: ${availableArchitectures().join(', ')}`,
    );
  }
  return file;
}

/** Returns the processors for which this package has code. */
export function availableArchitectures(): string[] {
  return fs.readdirSync(FUNCTIONS).flatMap((file) => /^provider-(.*)\.zip$/.exec(file)?.slice(1) ?? []);
}

/** Hands over a file with the provider's template, its conditions decided. The file is gone afterwards. */
export function withTemplate<T>(conditions: { [name: string]: boolean }, use: (templateFile: string) => T): T {
  const template = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'provider.template.json'), 'utf8'));
  const resources = Object.entries<any>(template.Resources).filter(
    ([, { Condition }]) => Condition === undefined || decided(Condition, conditions),
  );
  const provider = {
    Parameters: template.Parameters,
    Resources: Object.fromEntries(
      resources.map(([name, { Condition, ...resource }]) => [name, decide(resource, conditions)]),
    ),
  };
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cdk-cognito-m2m-'));
  try {
    const file = path.join(folder, 'template.json');
    fs.writeFileSync(file, JSON.stringify(provider));
    return use(file);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

const NO_VALUE = JSON.stringify({ Ref: 'AWS::NoValue' });

/** Replaces each Fn::If by the value that its condition chooses. */
function decide(value: any, conditions: { [name: string]: boolean }): any {
  if (Array.isArray(value)) {
    return value.map((each) => decide(each, conditions)).filter(isValue);
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (value['Fn::If'] !== undefined) {
    const [condition, yes, no] = value['Fn::If'];
    return decide(decided(condition, conditions) ? yes : no, conditions);
  }
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, each]) => [name, decide(each, conditions)])
      .filter(([, each]) => isValue(each)),
  );
}

function decided(condition: string, conditions: { [name: string]: boolean }): boolean {
  const decision = conditions[condition];
  if (decision === undefined) {
    throw new Error(`cdk-cognito-m2m does not decide the condition ${condition} of its template; please report this`);
  }
  return decision;
}

function isValue(value: any): boolean {
  return JSON.stringify(value) !== NO_VALUE;
}
