/** `countersign halt` and a real tree that `run` watches: a child of a child that counts. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { json, run } from '../harness.ts';
import { type Started, script, start, startCli, watchedProject } from './agent-process.ts';

const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;
const ASKED = /countersign resume ([0-9a-f]{8}) {2}/;
const COUNTS = `let n = 0; setInterval(() => fs.writeFileSync('count.txt', String(++n)), 20);`;
const STARTS_IT = `console.log('up'); spawn(process.execPath, ['child.cjs'], { stdio: 'ignore' }); setInterval(() => {}, 1000);`;

function count(cwd: string): number {
  try {
    return Number(readFileSync(join(cwd, 'count.txt'), 'utf8'));
  } catch {
    return 0;
  }
}

const pass = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves once it counts on. */
async function counts(cwd: string, beyond = count(cwd)): Promise<void> {
  while (count(cwd) <= beyond) await pass(20);
}

/** What it does not do is only known after a while in which it would have: some dozens of counts. */
async function standsStill(cwd: string): Promise<void> {
  const before = count(cwd);
  await pass(1_500);
  expect(count(cwd)).toBe(before);
}

async function counting(cwd: string, ...options: string[]): Promise<Started> {
  script(cwd, COUNTS, 'child.cjs');
  return startCli(['run', ...options, '--', 'node', script(cwd, STARTS_IT)], { cwd });
}

async function isValid(cwd: string): Promise<void> {
  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', problems: [] });
}

describe.skipIf(process.platform !== 'linux')('countersign halt, and a watched tree', { timeout: 300_000 }, () => {
  it.each(['audit', 'enforce'])(
    'mode %s: stands still until a person answers for it, and neither the end of the halt nor the tree itself does',
    async (mode) => {
      const cwd = await watchedProject();
      const agent = await counting(cwd, '--mode', mode);
      await counts(cwd);
      expect(await run(['halt'], { cwd })).toMatchObject({ code: 0 });
      const [, id = ''] = await agent.until(ASKED);
      await standsStill(cwd);
      expect((await run(['resume'], { cwd })).stdout).toMatch(new RegExp(`incident ${id}[^]*an operator halted every session`));
      // From inside of a watched tree nobody answers.
      const env = { COUNTERSIGN_GUARDED: '1' };
      for (const asked of [[id], ['--all'], [id, '--kill']])
        expect(await run(['resume', ...asked, ...JANE], { cwd, env })).not.toMatchObject({ code: 0 });
      expect(await run(['resume', id, '--override', '10m', '--reason', 'r', ...JANE], { cwd })).toMatchObject({ code: 2 });
      const ended = await run(['resume', '--all', ...JANE], { cwd });
      expect(ended).toMatchObject({ code: 0, stdout: expect.stringContaining('a watched agent stays stopped') });
      await standsStill(cwd);
      expect(await run(['resume', id, ...JANE], { cwd })).toMatchObject({ code: 0 });
      await counts(cwd);
      await isValid(cwd);
    },
  );

  it('goes on by its own answer while calls stay refused, and is ended by the next', async () => {
    const cwd = await watchedProject();
    const agent = await counting(cwd);
    await counts(cwd);
    await run(['halt'], { cwd });
    const [, first = ''] = await agent.until(ASKED);
    expect(await run(['resume', first, ...JANE], { cwd })).toMatchObject({ code: 0 });
    await counts(cwd);
    expect((await run(['resume'], { cwd })).stdout).toContain('--all  calls refused since a halt OPERATOR_HALT');
    await run(['halt'], { cwd });
    const [, second = ''] = await agent.until(new RegExp(`resumed, jane[^]*${ASKED.source}`));
    expect(second).not.toBe(first);
    expect(await run(['resume', second, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect((await agent.ended).code).toBe(121);
    await standsStill(cwd);
    await isValid(cwd);
  });

  it('begun while a halt stands: runs nothing before it is answered for', async () => {
    const cwd = await watchedProject();
    // The ledger is made by whoever writes first.
    await run(['run', '--', 'true'], { cwd });
    expect(await run(['halt'], { cwd })).toMatchObject({ code: 0 });
    const agent = await counting(cwd);
    const [, id = ''] = await agent.until(ASKED);
    await pass(1_000);
    expect({ count: count(cwd), isUp: agent.output.stdout.includes('up') }).toEqual({ count: 0, isUp: false });
    expect(await run(['resume', id, ...JANE], { cwd })).toMatchObject({ code: 0 });
    await counts(cwd);
    await isValid(cwd);
  });

  it('attached to while a halt stands: stands still at once, and is ended by an answer', async () => {
    const cwd = await watchedProject();
    await run(['run', '--', 'true'], { cwd });
    const agent = start(process.execPath, [script(cwd, COUNTS)], { cwd });
    await counts(cwd);
    await run(['halt'], { cwd });
    const watch = startCli(['attach', '--mode', 'audit', '--pid', String(agent.child.pid)], { cwd });
    const [, id = ''] = await watch.until(ASKED);
    await standsStill(cwd);
    expect(await run(['resume', id, '--kill', ...JANE], { cwd })).toMatchObject({ code: 0 });
    expect((await agent.ended).signal).toBe('SIGKILL');
    expect((await watch.ended).code).toBe(121);
    await isValid(cwd);
  });

  it('of another session leaves it alone', async () => {
    const cwd = await watchedProject();
    const agent = await counting(cwd);
    await counts(cwd);
    expect(await run(['halt', 'order-7'], { cwd })).toMatchObject({ code: 0 });
    await pass(2_500);
    await counts(cwd);
    expect(agent.output.stderr).not.toContain('operator-halt');
  });
});
