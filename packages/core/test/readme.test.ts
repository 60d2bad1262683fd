import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8');

it("the README's program is the example that runs, in at most 15 lines", () => {
  const [, program = ''] = /```ts\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
  expect(program).toBe(read('examples/guard-a-function/run.ts'));
  expect(
    program
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '').length,
  ).toBeLessThanOrEqual(15);
});

it('the README names the two commands first', () => {
  const readme = read('README.md');
  expect(readme.indexOf('npm start')).toBeGreaterThan(0);
  expect(readme.indexOf('npm test')).toBeGreaterThan(0);
  expect(readme.indexOf('npm start')).toBeLessThan(readme.indexOf('```ts'));
});
