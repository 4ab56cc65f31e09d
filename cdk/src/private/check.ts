/*
 * Checks the properties of a resource, as a template has them, by the JSON Schema that the provider is made from. The
 * keywords that begin with `x-` hold the provider's messages; src/properties/schema.rs describes them.
 *
 * lint/cfn_lint_cognito_m2m/checks.py does the same for cfn-lint, in steps of the same names. It also checks the branches
 * of conditions. Here an intrinsic function is a value that only a deployment knows, and nothing is said about it.
 */

/** A JSON Schema, as far as the schemas of the resource types use it. */
export type Schema = any;

// Stands in a name for what only a deployment knows. Each part of a name may be this character.
const UNKNOWN_TEXT = 'x';
// As the provider does it: a message holds several values, and CloudFormation cuts it off.
const MAX_QUOTED_CHARS = 80;

/** Returns what is wrong with the properties, each as the provider says it: `<path>: <message>`. */
export function violations(schema: Schema, properties: any): string[] {
  return new Checker(schema).check(properties);
}

/** A value of a template. It is undefined if the property is absent. */
class Value {
  /** The path is as the provider names it, such as `Clients[1].ClientName`. */
  constructor(public readonly value: any, public readonly path: string) {}

  public get isAbsent(): boolean {
    return this.value === undefined;
  }

  public get isUnknown(): boolean {
    return isUnknown(this.value);
  }

  /** The text of a scalar, or undefined if only a deployment knows it. */
  public get literal(): string | undefined {
    return literal(this.value);
  }

  public items(): Value[] {
    return Array.isArray(this.value) ? this.value.map((item, index) => new Value(item, `${this.path}[${index}]`)) : [];
  }

  public property(name: string): Value {
    return new Value(this.value?.[name], this.path === '' ? shorten(name) : `${this.path}.${shorten(name)}`);
  }
}

class Checker {
  private readonly findings: string[] = [];
  private readonly refused = new Set<string>();

  constructor(private readonly schema: Schema) {}

  public check(properties: any): string[] {
    const root = new Value(properties, '');
    this.any(root, this.schema);
    this.scopes(root);
    // Two names that are too long may look alike in a message.
    return [...new Set(this.findings)];
  }

  private refuse(path: string, message: string): void {
    this.refused.add(path);
    this.findings.push(`${path}: ${message}`);
  }

  private any(value: Value, schema: Schema): void {
    if (value.isUnknown) {
      return;
    }
    if (schema.propertyNames) {
      this.tags(value, schema);
    } else if (schema.properties) {
      this.object(value, schema);
    } else if ((schema.anyOf?.[0] ?? schema).type === 'array') {
      this.list(value, schema);
    } else if (schema['x-message']) {
      // CloudFormation's own properties have no message.
      this.scalar(value, schema);
    }
  }

  private scalar(value: Value, schema: Schema, text = this.text(value)): void {
    if (text !== undefined && !holds(schema, text)) {
      // The provider prints an empty choice or number like any other.
      const found = text === '' && schema.maxLength !== undefined ? 'empty' : quoted(text);
      this.refuse(value.path, fill(schema['x-message'], found));
    }
  }

  /** Returns a scalar as CloudFormation hands it over: as text. */
  private text(value: Value): string | undefined {
    if (value.literal === undefined) {
      this.refuse(value.path, `must be a string, but is ${kind(value.value)}`);
    }
    return value.literal;
  }

  private list(value: Value, schema: Schema): void {
    if (schema.anyOf) {
      if (!isUnset(value)) {
        this.list(value, schema.anyOf[0]);
      }
    } else if (!Array.isArray(value.value)) {
      this.refuse(value.path, `must be a list, but is ${kind(value.value)}`);
    } else {
      this.count(value, value.items(), schema);
      value.items().forEach((item) => this.any(item, schema.items));
      this.unique(value, schema['x-unique']);
    }
  }

  /** Checks how many entries there are. CloudFormation may remove an entry that it resolves. */
  private count(value: Value, entries: Value[], schema: Schema): void {
    const least = entries.filter((entry) => !entry.isUnknown).length;
    if (entries.length < (schema.minItems ?? 0) || least > schema.maxItems) {
      this.refuse(value.path, fill(schema['x-message'], entries.length));
    }
  }

  /** Checks that no entry is there twice. */
  private unique(value: Value, { property, message }: Schema): void {
    const seen = new Set<string>();
    for (const item of value.items().map((each) => (property ? each.property(property) : each))) {
      // A name that is not valid is reported by itself.
      if (item.literal === undefined || this.refused.has(item.path)) {
        continue;
      }
      if (seen.has(item.literal)) {
        this.refuse(item.path, fill(message, quoted(item.literal)));
      }
      seen.add(item.literal);
    }
  }

  private object(value: Value, schema: Schema): void {
    if (!isMap(value.value)) {
      this.refuse(value.path || 'ResourceProperties', `must be a map, but is ${kind(value.value)}`);
      return;
    }
    for (const name of keys(value)) {
      if (!Object.hasOwn(schema.properties, name)) {
        this.refuse(value.property(name).path, schema['x-unknown']);
      }
    }
    for (const [name, rule] of Object.entries<Schema>(schema.properties)) {
      const property = value.property(name);
      if (!property.isAbsent) {
        this.any(property, rule);
      } else if (rule['x-required'] && isComplete(value)) {
        this.refuse(property.path, rule['x-required']);
      }
    }
    if (isComplete(value)) {
      this.conditions(value, schema);
      this.names(value, schema);
    }
  }

  /** Checks `if` and `then` if the schema has the provider's message. */
  private conditions(value: Value, schema: Schema): void {
    for (const rule of schema.allOf ?? []) {
      if (rule['x-message'] === undefined || !this.applies(value, schema, rule.if.properties)) {
        continue;
      }
      for (const [name, allowed] of Object.entries(rule.then.properties ?? {})) {
        const property = value.property(name);
        if (allowed === false && !property.isAbsent && !property.isUnknown) {
          this.refuse(property.path, rule['x-message']);
        }
      }
      for (const name of rule.then.required ?? []) {
        this.required(value, schema, rule, name);
      }
    }
  }

  /** Checks a property that `then` requires, or its default. */
  private required(value: Value, schema: Schema, rule: Schema, name: string): void {
    const property = value.property(name);
    if (rule['x-path'] !== undefined) {
      const cause = value.property(rule['x-path']);
      if (property.isAbsent) {
        this.refuse(cause.path, fill(rule['x-message'], quoted(cause.literal ?? '')));
      }
      return;
    }
    const text = this.read(property, schema.properties[name]);
    if (text !== undefined && !this.refused.has(property.path) && !holds(rule.then.properties[name], text)) {
      const origin = property.isAbsent ? ' (the default)' : '';
      this.refuse(property.path, fill(rule['x-message'], `${Number(text)}${origin}`));
    }
  }

  /**
   * Returns the text of a property as the provider reads it. It reads the default if the property is absent or refused.
   * Returns undefined if there is no default, or if only a deployment knows the text.
   */
  private read(property: Value, rule: Schema): string | undefined {
    return property.isAbsent || this.refused.has(property.path) ? literal(rule.default) : property.literal;
  }

  /** Tells whether properties keep the conditions of a rule. If only a deployment knows, they do not. */
  private applies(value: Value, schema: Schema, conditions: Schema): boolean {
    return Object.entries<Schema>(conditions).every(([name, condition]) => {
      const text = this.read(value.property(name), schema.properties[name]);
      return text !== undefined && holds(condition, text);
    });
  }

  /** Checks names that follow from several properties. */
  private names(value: Value, schema: Schema): void {
    const isDue = (rule: Schema) =>
      (rule.unless === undefined || value.property(rule.unless).isAbsent) &&
      this.applies(value, schema, rule.when ?? {});
    const broken = (schema['x-names'] ?? []).filter(isDue).flatMap((rule: Schema) =>
      this.texts(value, schema, rule.parts)
        .filter((text) => !holds(rule.schema, text))
        .map((text) => ({ ...rule, text })),
    );
    for (const { path, parts, message, text } of broken) {
      // The default client's name begins with the pool's. If that is too long by itself, it says enough.
      const isSaidBy = (other: Schema) =>
        other.path !== path && other.text !== text && parts.some((part: Schema) => part.property === other.path);
      if (!broken.some(isSaidBy)) {
        const words = fill(message, quoted(text)).replace('{length}', `${[...text].length}`);
        this.refuse(value.property(path).path, words);
      }
    }
  }

  /** Returns each text that the parts of a name make together. */
  private texts(value: Value, schema: Schema, parts: Schema[]): string[] {
    const append = (texts: string[], part: Schema) => {
      const more = this.part(value, schema, part);
      return texts.flatMap((text) => more.map((each) => text + each));
    };
    return parts.reduce(append, ['']);
  }

  private part(value: Value, schema: Schema, part: Schema): string[] {
    if (typeof part === 'string') {
      return [part];
    }
    if (part.each) {
      const each = value.property(part.each).items().map((item) => item.property(part.property));
      return each.flatMap((name) => (this.refused.has(name.path) ? [] : name.literal ?? []));
    }
    const property = value.property(part.property);
    const text = property.isUnknown ? UNKNOWN_TEXT : this.read(property, schema.properties[part.property]);
    return text === undefined ? [] : [text];
  }

  /** Checks that the clients' scopes are declared. */
  private scopes(root: Value): void {
    const rule = this.schema['x-scopes'];
    const declared = rule && isComplete(root) ? this.declared(root) : undefined;
    if (declared === undefined) {
      return;
    }
    const clients = root.property('Clients');
    const ofDefault = clients.isAbsent && !this.refused.has('Clients') ? [new Value({}, 'Clients[0]')] : [];
    const { items: scopeRule } = this.schema.properties.Clients.items.properties.AllowedOAuthScopes;
    for (const client of [...clients.items(), ...ofDefault].filter(isComplete)) {
      const scopes = client.property('AllowedOAuthScopes');
      if (scopes.isAbsent && declared.length > rule.max) {
        this.refuse(scopes.path, fill(rule.message, declared.length));
      }
      for (const { literal: scope, path } of scopes.items()) {
        if (scope !== undefined && holds(scopeRule, scope) && !declared.includes(scope)) {
          this.refuse(path, fill(scopeRule['x-message'], quoted(scope)));
        }
      }
    }
  }

  /** Returns the declared scopes, or undefined if only a deployment knows them all. */
  private declared(root: Value): string[] | undefined {
    const listed = (value: any): any[] => (Array.isArray(value) ? value : [undefined]);
    const servers = root.value.ResourceServers ?? this.schema.properties.ResourceServers.default;
    const scopes = listed(servers).flatMap((server) =>
      listed(server?.Scopes).map((scope) => [literal(server?.Identifier), literal(scope?.ScopeName)]),
    );
    return scopes.flat().includes(undefined) ? undefined : scopes.map((parts) => parts.join('/'));
  }

  private tags(value: Value, schema: Schema): void {
    if (isMap(value.value)) {
      const tags = keys(value).map((name) => ({ item: value.property(name), name }));
      this.count(value, tags.map(({ item }) => item), schema);
      tags.forEach(({ item, name }) => this.tag(item, schema, name));
    } else if (!Array.isArray(value.value)) {
      this.refuse(value.path, fill(schema['x-type'], kind(value.value)));
    } else if (!isUnset(value)) {
      this.count(value, value.items(), schema);
      this.tagsOfList(value, schema);
    }
  }

  private tag(item: Value, schema: Schema, key: string, text?: string): void {
    const broken = schema.propertyNames.allOf.find((rule: Schema) => !holds(rule, key));
    if (broken !== undefined) {
      this.refuse(item.path, fill(broken['x-message'], key === '' ? 'empty' : quoted(key)));
    }
    if (!item.isUnknown) {
      this.scalar(item, schema.additionalProperties, text);
    }
  }

  /** Checks tags that are written Key=Value. */
  private tagsOfList(value: Value, schema: Schema): void {
    const seen = new Set<string>();
    for (const item of value.items().filter((each) => !each.isUnknown)) {
      const text = this.text(item);
      if (text === undefined) {
        continue;
      }
      const [key, ...rest] = text.split('=');
      if (rest.length === 0) {
        this.refuse(item.path, fill(schema.anyOf[1].items['x-message'], quoted(text)));
        continue;
      }
      if (seen.has(key)) {
        this.refuse(item.path, fill(schema['x-unique'].message, quoted(key)));
      }
      seen.add(key);
      this.tag(item, schema, key, rest.join('='));
    }
  }
}

function isMap(value: any): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isFunctionName(name: string): boolean {
  return name.startsWith('Fn::');
}

/** Tells whether only a deployment knows a value: an intrinsic function, or text with a dynamic reference. */
function isUnknown(value: any): boolean {
  if (typeof value === 'string') {
    return value.includes('{{resolve:');
  }
  const [name, ...others] = isMap(value) ? Object.keys(value) : [];
  return name !== undefined && others.length === 0 && (name === 'Ref' || name === 'Condition' || isFunctionName(name));
}

/** Returns the keys of a map. Fn::Transform and Fn::ForEach add keys that are not here. */
function keys(value: Value): string[] {
  return Object.keys(value.value).filter((name) => !isFunctionName(name));
}

/** Tells whether a value is a map to which CloudFormation adds no keys. */
function isComplete(value: Value): boolean {
  return isMap(value.value) && !value.isUnknown && !Object.keys(value.value).some(isFunctionName);
}

/** Tells whether a value is a template parameter of the type CommaDelimitedList that is empty. */
function isUnset({ value }: Value): boolean {
  return Array.isArray(value) && value.length === 1 && value[0] === '';
}

function literal(value: any): string | undefined {
  return value === undefined || typeof value === 'object' || isUnknown(value) ? undefined : String(value);
}

/** Tells whether text keeps a schema. Its types do not matter: CloudFormation hands over every scalar as text. */
function holds(schema: Schema, text: string): boolean {
  const { length } = [...text];
  return (
    length >= (schema.minLength ?? 0) &&
    length <= (schema.maxLength ?? Infinity) &&
    (schema.pattern === undefined || new RegExp(schema.pattern, 'u').test(text)) &&
    (schema.enum === undefined || schema.enum.map(String).includes(text)) &&
    (schema.const === undefined || String(schema.const) === text) &&
    (schema.not === undefined || !holds(schema.not, text)) &&
    (schema.anyOf === undefined || schema.anyOf.some((each: Schema) => holds(each, text)))
  );
}

function fill(message: string, found: string | number): string {
  return message.replaceAll('{found}', () => String(found));
}

function kind(value: any): string {
  if (value === null) {
    return 'null';
  }
  return Array.isArray(value) ? 'a list' : isMap(value) ? 'a map' : `a ${typeof value}`;
}

function shorten(text: string): string {
  const chars = [...text];
  return chars.length <= MAX_QUOTED_CHARS
    ? text
    : `${chars.slice(0, MAX_QUOTED_CHARS).join('')}… (${chars.length} characters)`;
}

/** Returns text on one line, as the provider prints it. */
function quoted(text: string): string {
  const escapes: { [char: string]: string } = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\0': '\\0' };
  const escape = (char: string) => escapes[char] ?? `\\u{${char.codePointAt(0)?.toString(16)}}`;
  const printable = shorten(text).replace(/["\\]/g, '\\$&').replace(/(?! )[\p{C}\p{Z}]/gu, escape);
  return `"${printable}"`;
}
