/** Where made-up sessions take place: processes that do things, one after the other. */
import type { Action, Activity } from '../../src/activity.ts';
import type { Random } from './random.ts';

export const HOME = '/home/dana';
export const PROJECT = '/home/dana/code/shop';

export interface Proc {
  readonly pid: number;
  readonly parent: number;
  readonly exe: string;
  readonly argv: readonly string[];
}

export class Stage {
  readonly activities: Activity[] = [];
  /** `seq` of what belongs to the attack. */
  readonly attack = new Set<number>();
  readonly random: Random;
  #at = 1_765_000_000_000;
  #pid = 2000;
  #isAttack = false;
  readonly agent: Proc = { pid: 1999, parent: 1, exe: '/usr/bin/node', argv: ['node', '/usr/lib/agent/cli.js'] };

  constructor(random: Random) {
    this.random = random;
  }

  /** Everything done in it is the attack. */
  attacking(act: () => void): void {
    this.#isAttack = true;
    act();
    this.#isAttack = false;
  }

  pass(milliseconds: number): void {
    this.#at += milliseconds;
  }

  does(proc: Proc, action: Action, milliseconds = this.random.between(1, 40)): void {
    this.#at += milliseconds;
    const seq = this.activities.length + 1;
    if (this.#isAttack) this.attack.add(seq);
    this.activities.push({
      seq,
      at: this.#at,
      sensor: 'made-up',
      phase: 'after',
      actor: { pid: proc.pid, start: proc.pid, parent: proc.parent, exe: proc.exe, argv: proc.argv, cwd: PROJECT },
      action,
      attribution: { method: 'none' },
    });
  }

  /** A process more, and what it runs. */
  runs(parent: Proc, exe: string, ...argv: readonly string[]): Proc {
    const pid = ++this.#pid;
    const proc: Proc = { pid, parent: parent.pid, exe, argv: argv.length === 0 ? [exe] : argv };
    this.does(parent, { kind: 'spawn', child: { pid, start: pid } });
    this.does(proc, { kind: 'exec', exe, argv: proc.argv, cwd: PROJECT });
    return proc;
  }

  /** A line, as a shell runs it; then the programs it starts, as the kernel shows them. */
  shell(parent: Proc, line: string, ...then: readonly (readonly [exe: string, ...argv: string[]])[]): Proc {
    const shell = this.runs(parent, this.random.one(['/usr/bin/dash', '/usr/bin/bash', '/bin/sh']), 'sh', '-c', line);
    for (const [exe, ...argv] of then) this.runs(shell, exe, ...argv);
    return shell;
  }

  reads(proc: Proc, path: string, resolved?: string): void {
    this.does(proc, { kind: 'read', path, ...(resolved !== undefined && { resolved }) });
  }

  writes(proc: Proc, path: string, existed?: boolean): void {
    this.does(proc, { kind: 'write', path, ...(existed !== undefined && { existed }) });
  }

  deletes(proc: Proc, path: string, existed?: boolean): void {
    this.does(proc, { kind: 'delete', path, ...(existed !== undefined && { existed }) });
  }

  connects(proc: Proc, host: string | undefined, address?: string, port = 443): void {
    this.does(proc, {
      kind: 'connect',
      protocol: 'tcp',
      port,
      ...(host !== undefined && { host }),
      ...(address !== undefined && { address }),
    });
  }
}
