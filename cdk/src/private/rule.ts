/** Returns what follows "Must be" in the description of a property. */
export function plainRule(description: string | undefined): string {
  const [, rule = 'given'] = /.*Must be (.*?)\.(?: Default: .*)?$/s.exec(description ?? '') ?? [];
  return rule;
}
