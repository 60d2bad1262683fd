/** `countersign run` with kernel control, real processes all: what is held has not happened, and happens or fails by the answer. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { hostCapabilities } from '@countersign/monitor';
import { describe, expect, it } from 'vitest';
import { json, run } from '../harness.ts';
import { oldFiles, type Started, script, startCli, watchedProject, workFolder } from './agent-process.ts';

const JANE = ['--key', 'jane.key', '--as', 'jane'] as const;
/** Whole processes, on whatever machine: each starts Node several times. */
const SLOW = { timeout: 300_000 } as const;

const KERNEL = ['run', '--kernel', 'required'] as const;

async function entriesOf(cwd: string, kind: string): Promise<readonly Record<string, unknown>[]> {
  const { stdout } = await run(['filter', '--kind', kind], { cwd });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { readonly entry: Record<string, unknown> }).entry);
}

async function isValid(cwd: string): Promise<void> {
  const report = json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }));
  expect(report).toMatchObject({ status: 'valid', problems: [], open_decisions: 0 });
}

/** The id of the n-th halt that is asked about, from 1. */
async function halted(agent: Started, nth = 1): Promise<string> {
  const [, id = ''] = await agent.until(new RegExp(`(?:countersign resume ([0-9a-f]{8}) {2}[^]*?all of it[^]*?){${nth}}`));
  return id;
}

async function answer(cwd: string, id: string, ...how: readonly string[]): Promise<void> {
  expect(await run(['resume', id, ...how, ...JANE], { cwd })).toMatchObject({ code: 0 });
}

const native = hostCapabilities().capabilities.find(({ name }) => name === 'native');
const canHold = process.platform === 'linux' && native?.available === true;
if (!canHold) console.warn(`SKIPPED: kernel control: ${native?.why ?? 'only on Linux'}; without it nothing here is shown`);

describe.skipIf(!canHold)('a call that a person has to decide about', SLOW, () => {
  const deleting = async () => {
    const cwd = await watchedProject();
    const work = workFolder();
    const names = oldFiles(work, 20);
    const left = () => names.filter((name) => existsSync(join(work, name)));
    const command = `rm ${names.join(' ')}; echo "rm ended with $?"; touch went-on`;
    const agent = startCli([...KERNEL, '--config', join(cwd, 'countersign.yaml'), '--', 'sh', '-c', command], { cwd: work });
    const id = await halted(agent);
    expect(agent.output.stderr).toMatch(/^HALT [^\n]*held before it happens: delete [^\n]*f0019\.txt by rm/m);
    expect(agent.output.stderr).toMatch(/THE AGENT IS STOPPED before this happens/);
    // The twentieth is what was asked about: it has not happened.
    expect(left()).toEqual(['f0019.txt']);
    return { cwd, work, agent, id, left };
  };

  it('happens when it is let go on, and nothing but that did before', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id);
    const { code, stdout } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 0, stdout: 'rm ended with 0\n', left: [] });
    expect(readdirSync(work)).toContain('went-on');
    expect((await entriesOf(cwd, 'verdict')).filter(({ level }) => level === 'HALT')).toMatchObject([
      { level: 'HALT', enforced: 'HALT', rule: 'mass-deletion', phase: 'before' },
    ]);
    expect((await entriesOf(cwd, 'containment')).map(({ event }) => event)).toEqual(['frozen', 'resumed']);
    await isValid(cwd);
  });

  it('fails with EPERM when it is denied: its program says so itself, nobody is ended, and the agent goes on', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id, '--deny');
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 0, stdout: 'rm ended with 1\n', left: ['f0019.txt'] });
    expect(stderr).toContain("rm: cannot remove 'f0019.txt': Operation not permitted");
    expect(stderr).toMatch(/denied: 1 system call refused, the rest goes on, jane/);
    expect(readdirSync(work)).toContain('went-on');
    const [, denied] = await entriesOf(cwd, 'containment');
    expect(denied).toMatchObject({ event: 'denied', refused: 1 });
    expect(denied).not.toHaveProperty('count');
    await isValid(cwd);
  });

  it('never happens when all of it is ended', async () => {
    const { cwd, agent, id, left, work } = await deleting();
    await answer(cwd, id, '--kill');
    const { code, stdout } = await agent.ended;
    expect({ code, stdout, left: left() }).toEqual({ code: 121, stdout: '', left: ['f0019.txt'] });
    expect(readdirSync(work)).not.toContain('went-on');
    await isValid(cwd);
  });

  it('never happens when a signal ends the watching', async () => {
    const { agent, left, work } = await deleting();
    agent.child.kill('SIGTERM');
    await agent.until(/once more ends all of it/);
    expect(left()).toEqual(['f0019.txt']);
    agent.child.kill('SIGTERM');
    const { stdout } = await agent.ended;
    expect({ stdout, left: left() }).toEqual({ stdout: '', left: ['f0019.txt'] });
    expect(readdirSync(work)).not.toContain('went-on');
  });
});
