/** Prints what failed, and a last line as pytest prints it: tools/test.py adds such lines up. */
export default async function* report(source) {
  const started = Date.now();
  let [passed, failed] = [0, 0];
  for await (const { type, data } of source) {
    if (type === 'test:pass') {
      passed += 1;
    } else if (type === 'test:fail') {
      failed += 1;
      yield `FAILED ${data.name}\n${data.details.error.cause?.message ?? data.details.error.message}\n`;
    }
  }
  const counts = [...(failed > 0 ? [`${failed} failed`] : []), `${passed} passed`].join(', ');
  yield `${counts} in ${((Date.now() - started) / 1000).toFixed(2)}s\n`;
}
