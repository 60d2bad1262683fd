/** The table of the guide is the table of the code. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { RULES } from '../../src/rules/index.ts';

const GUIDE = new URL('../../../../docs/guides/monitor.md', import.meta.url);

it('the guide lists every rule, with what it is about and what it may come to', () => {
  const rows = [...readFileSync(GUIDE, 'utf8').matchAll(/^\| `([a-z-]+)` \| ([A-Z, ]+) \| (.*) \|$/gm)].map((row) => row.slice(1, 4));
  expect(rows).toEqual(RULES.map(({ id, levels, explanation }) => [id, levels.join(', '), explanation.replaceAll('|', '\\|')]));
});
