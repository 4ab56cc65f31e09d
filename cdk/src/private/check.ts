import { plainRule } from './rule';

/** The keywords that this file knows. Others say nothing about a value. */
export const KEYWORDS = [
  ...['type', 'enum', 'const', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern'],
  ...['minItems', 'maxItems', 'uniqueItems', 'items'],
  ...['properties', 'additionalProperties', 'propertyNames', 'maxProperties', 'required'],
  ...['allOf', 'anyOf', 'not', 'if', 'then', 'else'],
];

/** A JSON Schema, as far as the schemas of the resource types use it. */
export type Schema = any;

/**
 * Returns everything that is wrong with an object's properties, in the words of the provider's parser.
 *
 * The properties are those of the template. What CloudFormation resolves later (Ref, Fn::GetAtt, and so on) is not
 * known yet, so nothing is said about it.
 */
export function violations(schema: Schema, value: any): string[] {
  const found: string[] = [];
  checkObject(schema, value, '', (path, text) => found.push(`${path} ${text}`));
  return [...new Set(found)];
}

type Report = (path: string, text: string) => void;

function checkObject(schema: Schema, value: any, path: string, report: Report): void {
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  const known: { [name: string]: Schema } = schema.properties;
  for (const name of Object.keys(value)) {
    if (known[name] === undefined) {
      report(at(name), `is not a known property; known here: ${Object.keys(known).join(', ')}`);
    } else if (known[name] !== true) {
      checkProperty(known[name], value[name], at(name), report);
    }
  }
  for (const name of schema.required ?? []) {
    if (value[name] === undefined) {
      report(at(name), `is required: ${plainRule(known[name]?.description)}`);
    }
  }
  for (const rule of schema.allOf ?? []) {
    if (holds(rule, value) === false) {
      checkAcross(rule, value, at, report);
    }
  }
}

/** Says which property breaks a rule that several are involved in. */
function checkAcross(rule: Schema, value: any, at: (name: string) => string, report: Report): void {
  const branch = rule.if === undefined ? rule : holds(rule.if, value) ? rule.then : rule.else;
  for (const name of branch.required ?? []) {
    if (value[name] === undefined) {
      report(at(name), `must be given. ${rule.$comment}`);
    }
  }
  for (const [name, schema] of Object.entries<Schema>(branch.properties ?? {})) {
    if (value[name] !== undefined && holds(schema, value[name]) === false) {
      report(at(name), `must not be ${shown(value[name])}. ${rule.$comment}`);
    }
  }
}

function checkProperty(schema: Schema, value: any, path: string, report: Report): void {
  if (isIntrinsic(value) || holds(schema, value) !== false) {
    return;
  }
  const list = [schema, ...(schema.anyOf ?? [])].find((each) => each.type === 'array' && each.items);
  if (list !== undefined && Array.isArray(value)) {
    checkList(list, value, path, schema.description, report);
  } else if (schema.properties !== undefined && isObject(value)) {
    checkObject(schema, value, path, report);
  } else if (schema.propertyNames !== undefined && isObject(value)) {
    checkMap(schema, value, path, report);
  } else {
    report(path, `must be ${plainRule(schema.description)}, but is ${shown(value)}`);
  }
}

function checkList(list: Schema, value: any[], path: string, description: string, report: Report): void {
  const [min, max] = [list.minItems ?? 0, list.maxItems ?? Infinity];
  if (value.length < min || value.length > max) {
    report(path, `must have ${min === 0 ? `at most ${max}` : `${min} to ${max}`} entries, but has ${value.length}`);
  }
  value.forEach((entry, index) => {
    if (list.items.properties !== undefined && isObject(entry) && !isIntrinsic(entry)) {
      checkObject(list.items, entry, `${path}[${index}]`, report);
    } else if (holds(list.items, entry) === false) {
      const [, rule = plainRule(description)] = /entries, each (.*)$/.exec(plainRule(description)) ?? [];
      report(`${path}[${index}]`, `must be ${rule}, but is ${shown(entry)}`);
    } else if (list.uniqueItems && typeof entry === 'string' && value.indexOf(entry) < index) {
      report(`${path}[${index}]`, `must be unique in the list, but ${shown(entry)} is listed twice`);
    }
  });
}

function checkMap(schema: Schema, value: any, path: string, report: Report): void {
  const rule = plainRule(schema.description);
  if (Object.keys(value).length > (schema.maxProperties ?? Infinity)) {
    report(path, `must be ${rule}, but has ${Object.keys(value).length} entries`);
  }
  for (const [key, entry] of Object.entries(value)) {
    if (holds(schema.propertyNames, key) === false || holds(schema.additionalProperties, entry) === false) {
      report(`${path}.${key}`, `must be one of ${rule}`);
    }
  }
}

/** Tells whether a value keeps a schema. Returns undefined if that depends on what CloudFormation resolves later. */
export function holds(schema: Schema, value: any): boolean | undefined {
  if (schema === true || schema === false) {
    return schema;
  }
  if (isIntrinsic(value)) {
    return undefined;
  }
  return all([...plainKeywords(schema, value), ...lists(schema, value), ...maps(schema, value), ...logic(schema, value)]);
}

type Truth = boolean | undefined;

function all(truths: Truth[]): Truth {
  return truths.includes(false) ? false : truths.includes(undefined) ? undefined : true;
}

function any(truths: Truth[]): Truth {
  return truths.includes(true) ? true : truths.includes(undefined) ? undefined : false;
}

function not(truth: Truth): Truth {
  return truth === undefined ? undefined : !truth;
}

function plainKeywords(schema: Schema, value: any): Truth[] {
  const truths: Truth[] = [];
  if (schema.type !== undefined) {
    truths.push([schema.type].flat().some((type: string) => isOfType(value, type)));
  }
  if (schema.enum !== undefined) {
    truths.push(schema.enum.includes(value));
  }
  if (schema.const !== undefined) {
    truths.push(JSON.stringify(schema.const) === JSON.stringify(value));
  }
  if (typeof value === 'number') {
    truths.push(value >= (schema.minimum ?? -Infinity), value <= (schema.maximum ?? Infinity));
  }
  if (typeof value === 'string') {
    const length = [...value].length;
    truths.push(length >= (schema.minLength ?? 0), length <= (schema.maxLength ?? Infinity));
    if (schema.pattern !== undefined) {
      truths.push(new RegExp(schema.pattern, 'u').test(value));
    }
  }
  return truths;
}

function lists(schema: Schema, value: any): Truth[] {
  if (!Array.isArray(value)) {
    return [];
  }
  const known = value.filter((entry) => typeof entry === 'string');
  return [
    value.length >= (schema.minItems ?? 0),
    value.length <= (schema.maxItems ?? Infinity),
    !schema.uniqueItems || new Set(known).size === known.length,
    ...(schema.items === undefined ? [] : value.map((entry) => holds(schema.items, entry))),
  ];
}

function maps(schema: Schema, value: any): Truth[] {
  if (!isObject(value)) {
    return [];
  }
  const properties = schema.properties ?? {};
  const additional = schema.additionalProperties ?? true;
  return [
    Object.keys(value).length <= (schema.maxProperties ?? Infinity),
    ...(schema.required ?? []).map((name: string) => value[name] !== undefined),
    ...Object.keys(value).flatMap((name) => [
      schema.propertyNames === undefined ? true : holds(schema.propertyNames, name),
      holds(properties[name] ?? additional, value[name]),
    ]),
  ];
}

function logic(schema: Schema, value: any): Truth[] {
  const truths: Truth[] = [];
  if (schema.allOf !== undefined) {
    truths.push(all(schema.allOf.map((each: Schema) => holds(each, value))));
  }
  if (schema.anyOf !== undefined) {
    truths.push(any(schema.anyOf.map((each: Schema) => holds(each, value))));
  }
  if (schema.not !== undefined) {
    truths.push(not(holds(schema.not, value)));
  }
  if (schema.if !== undefined) {
    const condition = holds(schema.if, value);
    truths.push(any([not(condition), holds(schema.then ?? true, value)]));
    truths.push(any([condition, holds(schema.else ?? true, value)]));
  }
  return truths;
}

function isOfType(value: any, type: string): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isObject(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function isObject(value: any): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Tells whether CloudFormation resolves the value: an object whose only key is Ref, Fn::GetAtt and the like. */
function isIntrinsic(value: any): boolean {
  if (!isObject(value)) {
    return false;
  }
  const keys = Object.keys(value);
  return keys.length === 1 && (keys[0] === 'Ref' || keys[0] === 'Condition' || keys[0].startsWith('Fn::'));
}

// Enough to recognize a value.
const MAX_SHOWN = 80;

function shown(value: any): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
