/** A program under the real filter and the real supervisor, for tests and benches: what it was told, what it said, how it ended. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { arch, pid as self } from 'node:process';
import { text } from 'node:stream/consumers';
import { filterProgram } from '../../src/kernel/filter.ts';
import { launchThroughShim } from '../../src/kernel/launch-shim.ts';
import { wardenProcess } from '../../src/kernel/processes.ts';
import { PreparedThread, type Supervisor, supervise } from '../../src/kernel/supervisor.ts';
import type { SupervisorStart, Told } from '../../src/kernel/supervisor-protocol.ts';
import { type TrapReads, trapsOf } from '../../src/kernel/traps.ts';
import { native } from '../../src/native/native.ts';
import { loadScope, type ScopeSource } from '../../src/scope/load.ts';
import type { MonitorMode } from '../../src/verdict.ts';
import type { AgentEnd } from '../../src/warden/launch.ts';

/** Why nothing here can be tried. Undefined: it can. */
export function whyNot(): string | undefined {
  if (process.platform !== 'linux') return 'seccomp is of Linux';
  return native() === undefined ? 'koffi is missing' : undefined;
}

export interface SupervisedOptions {
  readonly program: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly mode?: MonitorMode;
  readonly trapReads?: TrapReads;
  readonly scope?: ScopeSource;
  /** Of the agent. Absent: a new empty folder. */
  readonly workspace?: string;
  readonly start?: Partial<SupervisorStart>;
  /** On top of those of every test. */
  readonly rules?: Partial<SupervisorStart['rules']>;
  /** What it writes to its standard error is not shown. */
  readonly quiet?: boolean;
  readonly onStall?: (thread: number) => void;
  /** Of each, as it comes. */
  readonly onTold?: (told: Told, supervisor: Supervisor) => void;
}

export interface Supervised {
  readonly pid: number;
  readonly workspace: string;
  readonly home: string;
  readonly supervisor: Supervisor;
  readonly told: readonly Told[];
  readonly lost: () => number;
  readonly counted: () => number;
  readonly listener: number;
  /** All it wrote to its standard output. */
  readonly output: Promise<string>;
  /** And to its standard error, which we show too. */
  readonly errors: Promise<string>;
  readonly ended: Promise<AgentEnd>;
  /** Of the supervisor's thread, if it was not stopped. */
  readonly died: Promise<Error>;
  /** The first that was or will be told. */
  readonly until: (is: (told: Told) => boolean) => Promise<Told>;
  /** To its standard input. */
  say(words: string): void;
  /** Ends what is left of it. */
  close(): Promise<void>;
}

export async function supervised(options: SupervisedOptions): Promise<Supervised> {
  const { mode = 'enforce_kill', trapReads = 'deny-list', scope = { document: {} } } = options;
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-supervised-')));
  const workspace = options.workspace ?? folder;
  const home = join(folder, 'home');
  const prepared = new PreparedThread();
  const agent = await launchThroughShim({
    program: options.program,
    args: options.args ?? [],
    cwd: workspace,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, ...options.env },
    stdio: 'pipe',
    filter: filterProgram(arch, trapsOf({ trapReads, ...wardenProcess() })),
  });
  const told: Told[] = [];
  const waiting = new Set<() => void>();
  let lost = 0;
  let counted = 0;
  const died = Promise.withResolvers<Error>();
  const { listener } = agent;
  if (listener === undefined) throw new Error('the shim gave no listener');
  const starting = supervise({
    prepared,
    listener,
    mode,
    trapReads,
    scope: loadScope(scope),
    rules: { workspace, home, tmp: [join(folder, 'tmp')], own: { pids: [self] }, ...options.rules },
    since: Date.now(),
    ...options.start,
    onTold: (some, missed, hot) => {
      lost += missed;
      counted += hot;
      for (const each of some) {
        told.push(each);
        options.onTold?.(each, supervisor);
      }
      for (const look of waiting) look();
    },
    onEnd: (error) => died.resolve(error),
    ...(options.onStall !== undefined && { onStall: options.onStall }),
  });
  const supervisor: Supervisor = await starting.catch(async (error: unknown) => {
    agent.child.kill('SIGKILL');
    await agent.ended;
    throw error;
  });
  const output = agent.child.stdout === null ? Promise.resolve('') : text(agent.child.stdout);
  const errors = agent.child.stderr === null ? Promise.resolve('') : text(agent.child.stderr);
  void errors.then((shown) => options.quiet === true || process.stderr.write(shown));
  agent.go();
  return {
    pid: agent.pid,
    workspace,
    home,
    supervisor,
    told,
    lost: () => lost,
    counted: () => counted,
    listener,
    say: (words) => void agent.child.stdin?.write(words),
    output,
    errors,
    ended: agent.ended,
    died: died.promise,
    until: (is) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = told.find(is);
          if (found === undefined) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    close: async () => {
      agent.child.kill('SIGKILL');
      await agent.ended;
      await supervisor.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
