/** What the supervisor tells of processes, and who belongs because of it. Its thread is a fake here: the real one is in supervisor.test.ts. */
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../src/activity.ts';
import { type SeccompOptions, seccompSensor } from '../../src/kernel/seccomp-sensor.ts';
import type { SupervisorOptions } from '../../src/kernel/supervisor.ts';
import type { Told } from '../../src/kernel/supervisor-protocol.ts';
import { loadScope } from '../../src/scope/load.ts';
import type { ProcessStat } from '../../src/tree/stat.ts';
import { TrackedTree } from '../../src/tree/tracked-tree.ts';

const ROOT = { pid: 100, start: 10, parent: 1 };
const CHILD = { pid: 200, start: 20, parent: 100, exe: '/usr/bin/ls', argv: ['ls'] };
const CALL = { method: 'marker', call: 'c'.repeat(32) } as const;

async function sensing(stat: (pid: number) => Partial<ProcessStat> | undefined = () => undefined) {
  const tree = new TrackedTree({ roots: [ROOT], marker: 'run' });
  const seen: Observation[] = [];
  const options: SeccompOptions = {
    tree,
    listener: -1,
    mode: 'enforce_kill',
    trapReads: 'deny-list',
    scope: loadScope({ document: {} }),
    rules: { workspace: '/', home: '/', tmp: [] },
    since: 0,
    redact: (text) => text,
    stat: (pid) => stat(pid) as ProcessStat | undefined,
  };
  let onTold: SupervisorOptions['onTold'] = () => {};
  const sensor = seccompSensor({
    ...options,
    start: async (given) => {
      onTold = given.onTold;
      return { stop: async () => {} } as never;
    },
  });
  await sensor.start({ tree, emit: (observation) => void seen.push(observation), died: () => {} });
  const told = (actor: Observation['actor'], more: Partial<Told> = {}): void =>
    onTold(
      [
        {
          observation: { at: 1, sensor: 'seccomp', phase: 'before', ...(actor && { actor }), action: { kind: 'read', path: '/x' } },
          ...more,
        },
      ],
      0,
      0,
    );
  return { tree, seen, told, sensor };
}

describe('what is told of a process', () => {
  it('makes it belong, whoever its parents are', async () => {
    const { tree, told } = await sensing();
    told({ ...CHILD, parent: 4_711 });
    expect(tree.has(CHILD)).toBe(true);
  });

  it('that has ended makes it no member again, and is under the call that it had', async () => {
    const { tree, told, seen } = await sensing();
    tree.seen({ ...CHILD, markers: { run: 'run', call: CALL.call } });
    tree.exited(CHILD, { code: 0 });
    told(CHILD);
    expect(tree.members().map(({ pid }) => pid)).toEqual([ROOT.pid]);
    expect(seen).toMatchObject([{ actor: CHILD, attribution: CALL }]);
  });

  it('that has ended lets no child of another process of that pid in', async () => {
    const { tree, told } = await sensing((pid) => (pid === CHILD.pid ? { pid, start: 99, state: 'S' } : undefined));
    tree.seen(CHILD);
    tree.exited(CHILD);
    told(CHILD);
    expect(tree.seen({ pid: 300, start: 120, parent: CHILD.pid })).toBeUndefined();
  });

  it('that is dead and was not asked for counts as ended', async () => {
    const { tree, told } = await sensing(() => ({ pid: CHILD.pid, start: CHILD.start, state: 'Z' }));
    tree.seen(CHILD);
    tree.exited(CHILD);
    told(CHILD);
    expect(tree.has(CHILD)).toBe(false);
  });

  it('that was taken for ended and runs makes it a member', async () => {
    const { tree, told } = await sensing(() => ({ pid: CHILD.pid, start: CHILD.start, state: 'R' }));
    tree.seen(CHILD);
    tree.exited(CHILD);
    told(CHILD);
    expect(tree.has(CHILD)).toBe(true);
  });

  it('that waits for an answer makes it a member, whatever was said of its end', async () => {
    const { tree, told } = await sensing();
    tree.seen(CHILD);
    tree.exited(CHILD);
    told(CHILD, {
      held: 1,
      judged: { level: 'HALT', rule: 'r', reason: 'because', evaluator: 'rules', confidence: 1, evidence: [] },
    });
    expect(tree.has(CHILD)).toBe(true);
  });

  it('of another start time than the one that ended makes that one a member', async () => {
    const { tree, told } = await sensing();
    tree.seen(CHILD);
    tree.exited(CHILD);
    told({ ...CHILD, start: 30 });
    expect(tree.has({ pid: CHILD.pid, start: 30 })).toBe(true);
  });
});
