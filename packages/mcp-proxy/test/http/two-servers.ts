/** Two servers as one over HTTP, `one` and `two`, for each test anew: what reaches them is written down, and so is who they are. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach } from 'vitest';
import { type HttpBridge, type HttpGatewayOptions, startHttpGateway } from '../../src/http/http-bridge.ts';
import { FakeGuard } from '../fake-guard.ts';

export interface TwoServers {
  readonly folder: string;
  readonly guard: FakeGuard;
  readonly log: readonly string[];
  readonly url: string;
  readonly start: (options?: Partial<HttpGatewayOptions>) => Promise<void>;
  /** Of a file in the folder. */
  readonly linesOf: (file: string) => string[];
  /** Of every process that was started. */
  readonly pids: () => number[];
  close(): Promise<void>;
}

/** @param program - of both: writes every line it gets to the file that is its argument, and its pid beside that. */
export function twoServers(program: string): TwoServers {
  let [folder, guard, log]: [string, FakeGuard, string[]] = ['', new FakeGuard(), []];
  let bridge: HttpBridge | undefined;
  const linesOf = (file: string): string[] =>
    existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8').split('\n').slice(0, -1) : [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'countersign-two-'));
    [guard, log] = [new FakeGuard(), []];
  });
  afterEach(async () => {
    await bridge?.close();
    bridge = undefined;
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    get folder() {
      return folder;
    },
    get guard() {
      return guard;
    },
    get log() {
      return log;
    },
    get url() {
      return bridge?.url ?? '';
    },
    start: async (options = {}) => {
      bridge = await startHttpGateway({
        servers: ['one', 'two'].map((name) => ({ name, command: process.execPath, args: [program, join(folder, name)], killGraceMs: 200 })),
        guard: async () => guard,
        version: '0',
        stderr: new PassThrough().resume(),
        log: (text) => log.push(text),
        exitGraceMs: 100,
        greetingWaitMs: 30_000,
        port: 0,
        ...options,
      });
    },
    linesOf,
    pids: () => [...linesOf('one.pids'), ...linesOf('two.pids')].map(Number),
    close: async () => bridge?.close(),
  };
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
