/** Who answers a halt reads how much is watched: as it was when it was asked, and what the ledger has of it since. */
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGuard, type Json, loadConfig, monitorHost, rulePolicy } from '@countersign/core';
import { storeFromConfig } from '@countersign/core/sqlite';
import { expect, it, vi } from 'vitest';
import { project, run, Sink } from '../harness.ts';

const COVERAGE = { level: 'L2', means: 'waits for the rules, racy', holds: 'held, racy: programs; not seen: reading' };
const ARGS = {
  incident: 'e'.repeat(32),
  rule: 'ssh-keys',
  level: 'HALT',
  why: 'a private key',
  do: 'resume',
  held: ['read /x, by cat (pid 4711)'],
  call: 'call-1',
  since: '2026-01-02T02:00:00.000Z',
  answers: { resume: 'it happens', deny: 'it fails', kill: 'all is ended', unanswered: 'asked again' },
};

async function halted(coverage: Json, after?: string): Promise<{ readonly cwd: string; readonly id: string }> {
  const cwd = await project();
  const store = storeFromConfig(loadConfig(join(cwd, 'countersign.yaml'), { env: {} }));
  const policy = rulePolicy({ id: 'p', rules: [{ id: 'ask', tools: ['countersign/*'], effect: 'require_approval' }] });
  const guard = createGuard({ agent: 'bot', session: 'run-1', policy, store });
  const tool = { server: 'countersign', name: 'after_halt' };
  const asked = await guard.authorize({ tool, args: { ...ARGS, coverage } }, { approval: 'suspend' });
  if (asked.kind !== 'pending') throw new Error(asked.kind);
  if (after !== undefined) await monitorHost({ store, agent: 'bot' }).mark('coverage', { session: 'run-1', coverage: after });
  await store.close();
  return { cwd, id: asked.approvalId };
}

it('approvals show has the level, and what of it holds', async () => {
  const { cwd, id } = await halted(COVERAGE);
  const { stdout } = await run(['approvals', 'show', id], { cwd });
  expect(stdout).toContain(
    '    watched  level L2: waits for the rules, racy\n             held, racy: programs; not seen: reading\n    resume   it',
  );
  expect(stdout).not.toContain('since it was asked');
});

it.each(['show', 'resume'])('%s says what fell since', async (command) => {
  const { cwd, id } = await halted(COVERAGE, 'L0');
  const ran =
    command === 'show'
      ? await run(['approvals', 'show', id], { cwd })
      : await run(['resume', id], { cwd, tty: true, stdin: Readable.from(['n\n']) });
  expect(ran.stdout + ran.stderr).toContain('since it was asked the level is L0: what is said here of L2 holds no more');
});

it('approvals watch says it in its line, and only a level that is one', async () => {
  for (const [coverage, end] of [
    [COVERAGE, 'countersign/after_halt at L2 for bot, expires in'],
    [{ level: 'L3, all is safe\n', means: 'x' }, 'after_halt for bot, expires in'],
    [null, 'after_halt for bot, expires in'],
  ] as const) {
    const { cwd } = await halted(coverage);
    const stdout = new Sink();
    const ran = run(['approvals', 'watch'], { cwd, stdout, env: { NO_COLOR: '1' } });
    await vi.waitFor(() => expect(stdout.text).toContain('\n'), { timeout: 20_000 });
    process.emit('SIGINT');
    await ran;
    expect(stdout.text).toContain(end);
  }
});

it('at sixty columns the level is still there', async () => {
  const { cwd } = await halted(COVERAGE);
  const stdout = new Sink();
  const ran = run(['approvals', 'watch'], { cwd, stdout, tty: true, columns: 60, env: { NO_COLOR: '1' } });
  await vi.waitFor(() => expect(stdout.text).toContain('\n'), { timeout: 20_000 });
  process.emit('SIGINT');
  await ran;
  const [line = ''] = stdout.text.split('\n');
  expect(line).toMatch(/countersign\/after_halt at L2/);
  expect(line.length).toBeLessThanOrEqual(60);
});
