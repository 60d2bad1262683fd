import { expect, it } from 'vitest';
import { openSource } from '../../src/sqlite/source.ts';
import { judgeRows } from '../../src/verify/judge.ts';
import type { Judged } from '../../src/verify/judged.ts';
import { Packer, unpack } from '../../src/verify/packed.ts';
import { writeScenario } from './scenario.ts';

it('rows arrive as they left, few or many, with any number of charges', async () => {
  const source = openSource((await writeScenario()).path);
  const rows = [...source.chunks()].flatMap((chunk) => judgeRows(chunk, source));
  source.close();
  expect(rows.some(({ content }) => content.is === 'told')).toBe(true);
  const charged = rows.find(({ content }) => content.is === 'plain' && content.entry.kind === 'decision' && content.entry.budgets);
  for (const charges of [0, 1, 2, 3000]) {
    const many = Array.from({ length: 20 }).flatMap(() => [...rows, withCharges(charged, charges)]);
    for (const sent of [[], rows.slice(0, 1), rows, many]) expect(arrived(sent)).toEqual(sent);
  }
});

function arrived(rows: readonly Judged[]): readonly Judged[] {
  const packer = new Packer();
  // What it held before leaves nothing behind.
  packer.add(rows.toReversed());
  packer.take();
  packer.add(rows.slice(0, 5));
  packer.add(rows.slice(5));
  const packed = packer.take();
  return unpack(structuredClone(packed, { transfer: [packed.numbers.buffer] }));
}

/** Each of another budget and key, some of them for life. */
function withCharges(row: Judged | undefined, count: number): Judged {
  if (row?.content.is !== 'plain' || row.content.entry.kind !== 'decision') throw new Error('no decision with a budget');
  const budgets = Array.from({ length: count }, (_, i) => {
    const charge = { cost: i, id: `budget ${i % 7}`, key: `caf\u00e9 ${i}`, left: -i, limit: 2 * i, per: 'key' as const };
    return i % 3 === 0 ? charge : { ...charge, window_ms: i };
  });
  return { ...row, content: { is: 'plain', entry: { ...row.content.entry, budgets } } };
}
