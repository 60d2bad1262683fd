import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('the program of the README is the one that runs here', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const program = readFileSync(new URL('./readme-program.ts', import.meta.url), 'utf8');
  const snippet = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(program).toBe(snippet);
  expect(snippet.trimEnd().split('\n').length).toBeLessThanOrEqual(15);
  await expect(import('./readme-program.ts')).resolves.toBeDefined();
});
