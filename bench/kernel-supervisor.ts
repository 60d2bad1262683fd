/**
 * Calls that are held: none is missed, all are whose they are, and what that costs.
 *
 * The workload is a C program that says what it did (`packages/monitor/test/kernel/workload.c`), three times each, under the real filter
 * and supervisor: 200 children that live for a millisecond, 200 readings of a secret for a millisecond, 200 children that work for calls
 * of their own at the same time. Opens are timed by the program itself, in turns with and without; a search by ripgrep and the compiler,
 * where they are installed, by the shell that runs them. Reads are judged and go on by themselves (`deny-list`).
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Told } from '../packages/monitor/src/kernel/supervisor-protocol.ts';
import { cProgram } from '../packages/monitor/test/c-program.ts';
import { type Supervised, type SupervisedOptions, supervised, whyNot } from '../packages/monitor/test/kernel/supervised.ts';
import { atLeast, atMost, type Claim, type Measured, printed } from './figure.ts';
import { type FloorOptions, letGoOn } from './kernel-floor.ts';
import { median } from './measure.ts';

const TIMES = 3;
const CHILDREN = 200;
const READS = 200;
const CALLS = 200;
const OPENS = 50_000;
const PAIRS = 7;
const RG = '/usr/bin/rg';
const BASH = '/bin/bash';
/** Of one program in one session: a search of 900 opens is over before V8 has made the code that answers them; the compiler opens more. */
const SEARCHES = 60;
const COMPILATIONS = 8;
const ROOT = fileURLToPath(new URL('..', import.meta.url));

export const kernelSupervisorClaims: readonly Claim[] = process.platform === 'linux' ? linuxClaims() : [];

function linuxClaims(): readonly Claim[] {
  return [
    claim(`held: of ${CHILDREN} children of a millisecond, seen before they ran (worst of three)`, async (program) => {
      const seen = await times(async () => {
        const { told } = await finished({ program, args: ['children', String(CHILDREN), '1000'] });
        return new Set(
          told.flatMap(({ observation: { action, phase } }) =>
            phase === 'before' && action.kind === 'exec' ? (tagOf(action.argv) ?? []) : [],
          ),
        ).size;
      });
      return (name) => atLeast(name, Math.min(...seen), CHILDREN, '');
    }),
    claim(`held: of ${READS} readings of a secret, refused (worst of three)`, (program) =>
      refused(program, ({ refused: count }) => count, Math.min, READS),
    ),
    claim('held: bytes of that secret that were read (sum of three)', (program) => refused(program, ({ bytes }) => bytes, sum, 0)),
    claim(`held: of ${CALLS} calls at the same time, deeds under a wrong call (sum of three)`, (program) => attributed(program, 'wrong')),
    claim(`held: of ${CALLS} calls at the same time, deeds under their call (worst of three)`, (program) => attributed(program, 'right')),
    claim('held: median added to an open', async (program) => {
      const added = await pairs(
        async (isHeld) => Number((await timesOfOpens(program, isHeld)).median_ns),
        (held, free) => (held - free) / 1_000,
      );
      return (name) => atMost(name, median(added), 25, 'us');
    }),
    ...(existsSync(RG) ? runs('a search by ripgrep', [RG, '-j2', 'kernel', 'packages/monitor/src', 'packages/core/src'], SEARCHES, 3) : []),
    ...runs(
      'the compiler',
      [process.execPath, join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', 'packages/core', '--noEmit'],
      COMPILATIONS,
      1.2,
    ),
  ];
}

function claim(name: string, measure: (program: string) => Promise<(name: string) => Measured>): Claim {
  return {
    name,
    measure: async () => {
      const program = cProgram('kernel/workload');
      const why = whyNot() ?? (program === undefined ? 'no C compiler for the workload' : undefined);
      if (program === undefined || why !== undefined) {
        process.stderr.write(`not measured: ${why}\n`);
        return undefined;
      }
      return (await measure(program))(name);
    },
  };
}

interface Finished {
  readonly told: readonly Told[];
  readonly output: string;
}

async function finished(options: SupervisedOptions): Promise<Finished> {
  const run: Supervised = await supervised(options);
  try {
    const output = await run.output;
    await run.ended;
    await run.supervisor.stop();
    return { told: run.told, output };
  } finally {
    await run.close();
  }
}

async function refused(
  program: string,
  value: (said: { refused: number; bytes: number }) => number,
  of: (...all: number[]) => number,
  bound: number,
): Promise<(name: string) => Measured> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-bench-secret-')));
  const secret = join(folder, 'secret');
  writeFileSync(secret, 'nobody reads this\n');
  try {
    const all = await times(async () => {
      const { output } = await finished({
        program,
        args: ['reads', String(READS), secret, '1000'],
        scope: { document: { filesystem: { forbidden_paths: [secret] } } },
      });
      return value(JSON.parse(output) as { refused: number; bytes: number });
    });
    return (name) => (bound === 0 ? atMost(name, of(...all), bound, '') : atLeast(name, of(...all), bound, ''));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Two programs and a file of each call. */
const DEEDS = 3;
const LEAST_ATTRIBUTED = 0.99;

async function attributed(program: string, what: 'right' | 'wrong'): Promise<(name: string) => Measured> {
  const all = await times(async () => {
    const { told } = await finished({ program, args: ['calls', String(CALLS), join(tmpdir(), 'countersign-bench-of')] });
    let [right, wrong] = [0, 0];
    for (const { observation } of told) {
      const tag = /call-\d+/.exec(JSON.stringify(observation.action))?.[0];
      const call = observation.attribution?.call;
      if (tag === undefined || call === undefined) continue;
      if (call === tag) right++;
      else wrong++;
    }
    return what === 'right' ? right / (CALLS * DEEDS) : wrong;
  });
  return (name) => (what === 'right' ? atLeast(name, Math.min(...all), LEAST_ATTRIBUTED, '') : atMost(name, sum(...all), 0, ''));
}

async function timesOfOpens(program: string, isHeld: boolean): Promise<{ readonly median_ns: number }> {
  const args = ['opens', String(OPENS), '/etc/hostname'];
  const output = isHeld ? (await finished({ program, args })).output : execFileSync(program, args, { encoding: 'utf8' });
  return JSON.parse(output) as { median_ns: number };
}

/** Who answers what a program asks: nobody, kernel control, or a supervisor that only lets go on. */
type By = 'nobody' | 'us' | 'answers' | 'reads';

/**
 * As an agent runs it, from its shell: the first time in a session, and again and again. The shell is known by then. Beside it what the
 * mechanism alone costs.
 */
function runs(what: string, command: readonly string[], count: number, bound: number): readonly Claim[] {
  const ratios = (by: By, of: (times: readonly number[]) => number): Promise<readonly number[]> =>
    pairs(
      async (isHeld) => of(await timesOfRuns(command, count, isHeld ? by : 'nobody')),
      (held, free) => held / free,
    );
  const first = ([time = 0]: readonly number[]): number => time;
  // The first third is over before the code that answers is made.
  const again = (times: readonly number[]): number => median(times.slice(Math.ceil(times.length / 3)));
  const held = (when: string, of: typeof first): Claim =>
    claim(`held: ${what}, ${when}`, async () => {
      const all = await ratios('us', of);
      return (name) => atMost(name, median(all), bound);
    });
  const floor = (does: string, by: By): Claim =>
    claim(`floor: ${what}, in a session that runs, ${does}`, async () => {
      const all = await ratios(by, again);
      return (name) => printed(name, median(all));
    });
  return [
    held('the first of a session', first),
    held('in a session that runs', again),
    floor('each call let go on', 'answers'),
    floor('each call let go on once its path is read', 'reads'),
  ];
}

/** Milliseconds of each, as the shell has them. */
async function timesOfRuns(command: readonly string[], count: number, by: By): Promise<readonly number[]> {
  const script = 'for ((n = 0; n < RUNS; n++)); do s=${EPOCHREALTIME/./}; "$@" > /dev/null; e=${EPOCHREALTIME/./}; echo $((e - s)); done';
  const env = { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: tmpdir(), RUNS: String(count) };
  const options = { program: BASH, args: ['-c', script, 'runs', ...command], workspace: ROOT, env };
  const said = await saidBy(by, options);
  return said
    .trim()
    .split('\n')
    .map((line) => Number(line) / 1_000);
}

async function saidBy(by: By, options: FloorOptions): Promise<string> {
  const { program, args = [], workspace: cwd, env = {} } = options;
  if (by === 'nobody') return execFileSync(program, args, { cwd, env, encoding: 'utf8' });
  return by === 'us' ? (await finished(options)).output : letGoOn(options, by === 'reads');
}

/** In turns, so that a neighbour who wakes up slows both. */
async function pairs(
  measure: (isHeld: boolean) => Promise<number>,
  compare: (held: number, free: number) => number,
): Promise<readonly number[]> {
  await measure(true);
  const all: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const free = await measure(false);
    all.push(compare(await measure(true), free));
  }
  return all;
}

async function times<Value>(measure: () => Promise<Value>): Promise<readonly Value[]> {
  const all: Value[] = [];
  for (let time = 0; time < TIMES; time++) all.push(await measure());
  return all;
}

function tagOf(argv: readonly string[]): string | undefined {
  return argv.find((word) => /^tag-\d+$/.test(word));
}

function sum(...all: number[]): number {
  return all.reduce((total, each) => total + each, 0);
}
