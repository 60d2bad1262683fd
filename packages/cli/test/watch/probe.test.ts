/** `run --probe`: the real command, real agents. */
import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { native } from '../../../monitor/src/native/native.ts';
import { json, run } from '../harness.ts';
import { GUARDED, script, startCli, watchedProject } from './agent-process.ts';

const READS = `try { fs.readFileSync('bait.txt'); console.log('READ'); } catch (error) { console.log(error.code); } later(500, () => {});`;
const SLOW = { timeout: 300_000 } as const;

const handovers = (): readonly string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('countersign-probe-'));

describe.skipIf(native() === undefined)('run --probe', SLOW, () => {
  it('what a Node agent must not do it is refused from inside, unchanged; told, judged, recorded, asked about', async () => {
    const cwd = await watchedProject();
    const before = handovers();
    const agent = startCli(['run', '--probe', '--kernel', 'off', '--mode', 'confirm', '--', 'node', script(cwd, READS)], { cwd });
    const [, id = ''] = await agent.until(/countersign resume ([0-9a-f]{8}) {2}/);
    expect(agent.output.stderr).toMatch(/the probe is on: Node programs ask .* a hostile one can get past that/);
    expect(agent.output.stderr).toMatch(/^KILL .*refused: read .*bait\.txt by node/m);
    expect(agent.output.stderr).toContain('(refused by the probe inside of it, it says)');
    expect(await run(['resume', id, '--key', 'jane.key', '--as', 'jane'], { cwd })).toMatchObject({ code: 0 });
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ACTIVITY_REFUSED\n' });
    expect(stderr).toMatch(/probe: 1 Node program told of \d+ acts?/);
    const { stdout: entries } = await run(['filter', '--kind', 'verdict'], { cwd });
    expect(JSON.parse(entries.split('\n')[0] ?? '')).toMatchObject({
      entry: { level: 'KILL', enforced: 'HALT', rule: 'forbidden-path', phase: 'before' },
    });
    expect(json(await run(['verify', '--public-key', '.countersign/ledger.key.pub', '--json'], { cwd }))).toMatchObject({
      status: 'valid',
      problems: [],
    });
    const [session = ''] = readdirSync(join(cwd, '.countersign/activity')).filter((name) => /^[0-9a-f]{32}$/.test(name));
    expect(JSON.parse(readFileSync(join(cwd, '.countersign/activity', session, 'session.json'), 'utf8'))).toMatchObject({
      enforcement: { probe: expect.stringContaining('what is not Node does not ask') },
      sensors: expect.arrayContaining([expect.objectContaining({ name: 'probe', isAlive: true })]),
    });
    expect(handovers()).toEqual(before);
  });

  it('with kernel control: one deed that went on is told once', async () => {
    const cwd = await watchedProject();
    const reads = `fs.readFileSync('once.txt'); later(1_500, () => {});`;
    script(cwd, '', 'once.txt');
    const agent = startCli(['run', '--probe', '--verbose', '--', 'node', script(cwd, reads)], { cwd });
    const { code, stderr } = await agent.ended;
    expect(code).toBe(0);
    expect(stderr.match(/read \S*once\.txt by node/g)).toHaveLength(1);
    // What the probe itself reads is nobody's doing.
    expect(stderr).not.toMatch(/countersign-probe-|src\/probe\/preload/);
    expect(stderr).not.toMatch(/^(FLAG|HALT|KILL)/m);
  });

  it('by the configuration; an agent that is not Node is said to have none, and its Node children have it', async () => {
    const cwd = await watchedProject(', probe: true, kernel: off');
    // One that had ended before anybody could look at it would be known by its number alone.
    script(cwd, `try { fs.readFileSync('bait.txt'); } catch (error) { console.log(error.code); } later(5_000, () => {});`, 'child.cjs');
    const agent = startCli(['run', '--mode', 'audit', '--', 'sh', '-c', 'node child.cjs; echo done'], { cwd });
    const { stdout, stderr } = await agent.ended;
    expect(stderr).toContain('THE AGENT ITSELF IS NO NODE PROGRAM, and has no probe');
    // In audit mode nothing is refused.
    expect(stdout).toBe('done\n');
    expect(stderr).toMatch(/probe: 1 Node program told/);
    expect(stderr).toMatch(/^KILL .*bait\.txt by node .*only flagged in this mode/m);
  });

  it('an agent that guards its own tools goes on doing so', async () => {
    const cwd = await watchedProject();
    const agent = startCli(['run', '--probe', '--', 'node', '--conditions=@countersign/source', script(cwd, GUARDED)], { cwd });
    const { code, stdout, stderr } = await agent.ended;
    expect({ code, isDone: stdout.includes('done') }).toEqual({ code: 0, isDone: true });
    expect(stderr).not.toMatch(/^(HALT|KILL)/m);
  });

  it('shut in by landlock it can still be loaded and tell; with sandbox-runtime nothing is started', async () => {
    const cwd = await watchedProject();
    const landlock = startCli(['run', '--probe', '--contain', 'landlock', '--', 'node', '-e', 'console.log(1)'], { cwd });
    expect(await landlock.ended).toMatchObject({ code: 0, stdout: '1\n', stderr: expect.stringMatching(/probe: 1 Node program told/) });
    const srt = await startCli(['run', '--probe', '--kernel', 'off', '--contain', 'srt', '--', 'node', '-e', 'console.log(1)'], { cwd })
      .ended;
    expect(srt).toMatchObject({ stdout: '', stderr: expect.stringContaining('in sandbox-runtime the probe cannot tell') });
    expect(srt.code).not.toBe(0);
  });
});

it('is not for what runs already', async () => {
  const ran = await run(['attach', '--pid', '1', '--probe'], { cwd: await watchedProject() });
  expect(ran.code).toBe(2);
});
