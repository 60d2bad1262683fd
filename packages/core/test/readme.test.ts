import { readdirSync, readFileSync } from 'node:fs';
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

it('every other program of the README is a part of an example', () => {
  const examples = readdirSync(new URL('examples/', root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => unindented(read(`examples/${name}`)));
  const programs = [...read('README.md').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => unindented(program));
  expect(programs.length).toBeGreaterThanOrEqual(3);
  for (const program of programs) expect(examples.some((example) => example.includes(program))).toBe(true);
});

function unindented(code: string): string {
  return code.replaceAll(/^ +/gm, '').trim();
}

it('the README names the two commands first', () => {
  const readme = read('README.md');
  expect(readme.indexOf('npm start')).toBeGreaterThan(0);
  expect(readme.indexOf('npm test')).toBeGreaterThan(0);
  expect(readme.indexOf('npm start')).toBeLessThan(readme.indexOf('```ts'));
});
