/**
 * A19: an MCP server over stdio that is shut in, beside the same server that is not.
 *
 * The server answers each line with what came of reading a file it has no business with, and of writing outside. What is refused is
 * gated at nothing read and nothing written; how much later the first answer comes (at most 100 ms), and how much longer a round trip takes (at
 * most 1.3x), are taken side by side. Preparing is once for a server, and printed.
 *
 * Landlock is put on by a small program of ours: its first answer is gated as it is published, so run `npm run build` before; from source
 * Node strips its types at every start, and the figure is only printed.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { defaultScope, openSandbox, type Sandbox, type SandboxStart, startOf } from '@countersign/monitor';
import { atMost, type Claim, type Measured, printed } from './figure.ts';
import { median, timeRatio } from './measure.ts';

const STARTS = 11;
const ROUND_TRIPS = { count: 50, slices: 6, rounds: 9 };
const SERVER = `
const { readFileSync, writeFileSync } = require('node:fs');
const [secret, outside] = process.argv.slice(1);
const tried = (fn) => { try { return fn(); } catch (error) { return error.code; } };
const read = tried(() => readFileSync(secret, 'utf8')), wrote = tried(() => writeFileSync(outside, 'x'));
require('node:readline').createInterface({ input: process.stdin })
  .on('line', (line) => console.log(JSON.stringify({ jsonrpc: '2.0', id: JSON.parse(line).id, result: { read, wrote } })));
`;

type Kind = 'landlock' | 'srt';

interface Times {
  readonly prepareMs: number;
  readonly laterMs: number;
  readonly ratio: number;
  readonly gotThrough: number;
  readonly isFromSource: boolean;
}

export const kernelContainClaims: readonly Claim[] = (['landlock', 'srt'] as const).flatMap((kind) => [
  claim(kind, 'secrets read and files written outside, of all starts', ({ gotThrough }, name) => atMost(name, gotThrough, 0, '')),
  claim(kind, 'later the first answer comes', ({ laterMs, isFromSource }, name) =>
    isFromSource ? printed(`${name}, from source`, laterMs, 'ms') : atMost(name, laterMs, 100, 'ms'),
  ),
  claim(kind, 'round trip, beside a server that is not shut in', ({ ratio }, name) => atMost(name, ratio, 1.3)),
  claim(kind, 'preparing it, once for a server', ({ prepareMs }, name) => printed(name, prepareMs, 'ms')),
]);

const measured = new Map<Kind, Promise<Times | undefined>>();

function claim(kind: Kind, what: string, value: (times: Times, name: string) => Measured): Claim {
  const name = `A19: MCP server in ${kind === 'srt' ? 'sandbox-runtime' : 'landlock'}: ${what}`;
  const measure = async (): Promise<Measured | undefined> => {
    const times = measured.get(kind) ?? timesOf(kind);
    measured.set(kind, times);
    const found = await times;
    return found && value(found, name);
  };
  return { name, measure };
}

async function timesOf(kind: Kind): Promise<Times | undefined> {
  const { sandbox, contained } = await openSandbox({ by: kind, whenMissing: 'without' }, defaultScope());
  if (sandbox === undefined) {
    console.error(`${kind} is not measured: ${contained.missing[0]?.why ?? 'it is not there'}`);
    return undefined;
  }
  // Not in a folder for temporary files as a whole: those are granted, unless a home lies in them.
  const base = realpathSync(mkdtempSync('/var/tmp/countersign-bench-'));
  try {
    return await timesIn(sandbox, base);
  } finally {
    await sandbox.close();
    rmSync(base, { recursive: true, force: true });
  }
}

async function timesIn(sandbox: Sandbox, base: string): Promise<Times> {
  const [home, workspace, outside] = [join(base, 'home'), join(base, 'home/work'), join(base, 'home/outside')];
  const secret = join(home, '.ssh/id_ed25519');
  mkdirSync(join(home, '.ssh'), { recursive: true });
  mkdirSync(workspace);
  writeFileSync(secret, 'SECRET');
  const command = { program: process.execPath, args: ['-e', SERVER, secret, outside], cwd: workspace, env: { PATH: '/usr/bin:/bin' } };
  const plain: SandboxStart = { command: command.program, args: command.args, cwd: workspace, env: command.env };
  const before = performance.now();
  const shutIn = asPublished(await sandbox.prepare(command, { workspace, home, own: [] }).then(startOf));
  const prepareMs = performance.now() - before;
  const first: Record<'plain' | 'shutIn', number[]> = { plain: [], shutIn: [] };
  let gotThrough = 0;
  for (let at = 0; at < STARTS; at++) {
    first.plain.push((await once(plain)).ms);
    rmSync(outside, { force: true });
    const { ms, answer } = await once(shutIn);
    first.shutIn.push(ms);
    if (answer.includes('SECRET')) gotThrough++;
    if (existsSync(outside)) gotThrough++;
  }
  const [one, other] = [new Server(shutIn), new Server(plain)];
  try {
    const trips = (server: Server) => async (count: number) => {
      for (let at = 0; at < count; at++) await server.ask();
    };
    const ratio = await timeRatio(trips(one), trips(other), ROUND_TRIPS);
    return {
      prepareMs,
      laterMs: median(first.shutIn) - median(first.plain),
      ratio,
      gotThrough,
      isFromSource: shutIn.args.some((arg) => arg.endsWith('/shim.ts')),
    };
  } finally {
    await Promise.all([one.end(), other.end()]);
  }
}

/** With the shim of `dist`, where that is not older than its source. */
function asPublished(start: SandboxStart): SandboxStart {
  const built = (arg: string): string => arg.replace(/\/src\/kernel\/shim\.ts$/, '/dist/kernel/shim.js');
  const isNew = (arg: string): boolean => existsSync(built(arg)) && statSync(built(arg)).mtimeMs >= statSync(arg).mtimeMs;
  return { ...start, args: start.args.map((arg) => (built(arg) !== arg && isNew(arg) ? built(arg) : arg)) };
}

async function once(start: SandboxStart): Promise<{ readonly ms: number; readonly answer: string }> {
  const since = performance.now();
  const server = new Server(start);
  const answer = await server.ask();
  const ms = performance.now() - since;
  await server.end();
  return { ms, answer };
}

class Server {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #ended: Promise<void>;
  #answered: (line: string) => void = () => {};

  constructor({ command, args, cwd, env, control }: SandboxStart) {
    // A session of its own for each, as the proxy starts servers: the kernel shares a busy machine out by sessions.
    this.#child = spawn(command, args, {
      detached: true,
      cwd,
      env,
      stdio: ['pipe', 'pipe', 'pipe', ...(control === undefined ? [] : (['pipe'] as const))],
    });
    this.#ended = new Promise((done) => this.#child.once('exit', () => done()));
    (this.#child.stdio[3] as unknown as Duplex | undefined)?.end(control?.send); // of the descriptor that was asked for
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#answered(line));
  }

  ask(): Promise<string> {
    return new Promise((done) => {
      this.#answered = done;
      this.#child.stdin.write('{"jsonrpc":"2.0","id":1,"method":"try"}\n');
    });
  }

  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }
}
