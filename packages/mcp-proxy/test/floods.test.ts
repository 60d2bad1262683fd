/** Peers that say too much, or do not read: memory stays bounded, whoever waits is told, and others go on. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { logTo, MAX_WAITING_LOG_BYTES } from '../src/log.ts';
import type { JsonObject } from '../src/message.ts';
import { MAX_MESSAGE_BYTES } from '../src/wire.ts';
import { Exchange } from './http/http-client.ts';
import { INITIALIZE, modern } from './http/remote-client.ts';

const PROXY = fileURLToPath(new URL('fixtures/measured-proxy.ts', import.meta.url));
const SERVER = fileURLToPath(new URL('fixtures/flooding-server.mjs', import.meta.url));
/** Of 60,000 bytes each: some 915 MiB. */
const FLOOD = 16_000;
const HUGE_MIB = 900;
/** A process that holds the flood has half as much again. */
const MOST_MIB = 600;
/** However slow the machine is, these end. */
const PATIENCE = { timeout: 280_000, interval: 20 };
vi.setConfig({ testTimeout: 300_000 });
const LIMIT = -32051;

interface Report {
  readonly peakMib: number;
  readonly outcomes: readonly string[];
}

class Proxy {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-flood-'));
  readonly child: ChildProcessWithoutNullStreams;
  stderr = '';

  constructor(options: { readonly over: 'stdio' | 'http'; readonly unread?: object }) {
    const given = JSON.stringify({ ...options, report: join(this.folder, 'report') });
    const args = ['--conditions=@countersign/source', '--no-warnings', PROXY, given, process.execPath, SERVER, this.#flooded];
    this.child = spawn(process.execPath, args, { stdio: 'pipe' });
    this.child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
    });
    onTestFinished(() => {
      this.child.kill('SIGKILL');
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  get #flooded(): string {
    return join(this.folder, 'flooded');
  }

  /** Messages of the flood that its server got rid of. */
  get flooded(): number {
    return existsSync(this.#flooded) ? Number(readFileSync(this.#flooded, 'utf8')) : 0;
  }

  /** Resolves when the flood does not move, or is over. When it is only slow, the proxy has held less than it might: no reason to fail. */
  async stuck(): Promise<void> {
    for (let before = -1; before !== this.flooded || before === 0; ) {
      before = this.flooded;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }

  async ended(): Promise<Report> {
    this.child.stdin.end();
    if (this.child.exitCode === null) await once(this.child, 'exit');
    return JSON.parse(readFileSync(join(this.folder, 'report'), 'utf8')) as Report;
  }
}

const call = (id: number, name: string, args: object = {}): string =>
  `${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: args } })}\n`;

describe('over stdio', () => {
  it('a client that does not read holds the server up, not the flood in memory; and misses nothing', async () => {
    const proxy = new Proxy({ over: 'stdio' });
    proxy.child.stdin.write(call(1, 'flood', { messages: FLOOD }));
    await proxy.stuck();
    let [messages, rest] = [0, ''];
    const answered = Promise.withResolvers<string>();
    proxy.child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${messages + 1} `))
          messages += 1;
        else answered.resolve(line);
      }
    });
    expect(JSON.parse(await answered.promise)).toMatchObject({ id: 1, result: { content: [{ text: 'flooded' }] } });
    expect(messages).toBe(FLOOD);
    const { peakMib, outcomes } = await proxy.ended();
    expect(outcomes).toEqual(['success']);
    expect(peakMib).toBeLessThan(MOST_MIB);
  });

  it('a message of 900 MiB is an error for whoever waits for it, and the next one comes as ever', async () => {
    const proxy = new Proxy({ over: 'stdio' });
    const lines: string[] = [];
    let rest = '';
    proxy.child.stdout.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    proxy.child.stdin.write(call(1, 'huge', { mib: HUGE_MIB }));
    await vi.waitUntil(() => lines.length === 1, PATIENCE);
    proxy.child.stdin.write(call(2, 'echo'));
    await vi.waitUntil(() => lines.length === 2, PATIENCE);
    expect(lines.map((line): unknown => JSON.parse(line))).toMatchObject([
      { id: 1, error: { code: LIMIT } },
      { id: 2, result: {} },
    ]);
    expect(proxy.stderr).toContain(`a message of the server has more than ${MAX_MESSAGE_BYTES} bytes and goes on`);
    const { peakMib, outcomes } = await proxy.ended();
    expect(outcomes).toEqual(['error', 'success']);
    expect(peakMib).toBeLessThan(MOST_MIB);
  });

  it('a line without an end is one too, before its end', async () => {
    const proxy = new Proxy({ over: 'stdio' });
    proxy.child.stdin.write(call(1, 'endless', { mib: 20 }));
    const [chunk] = (await once(proxy.child.stdout, 'data')) as [Buffer];
    expect(JSON.parse(chunk.toString())).toMatchObject({ id: 1, error: { code: LIMIT } });
    expect((await proxy.ended()).outcomes).toEqual(['error']);
  });

  it('what nobody reads of the log is lost, and counted', () => {
    const stderr = new PassThrough({ highWaterMark: 1 });
    const log = logTo(stderr);
    const line = 'x'.repeat(1_000);
    for (let at = 0; at < 10_000; at++) log(line);
    expect(stderr.writableLength).toBeLessThan(MAX_WAITING_LOG_BYTES + 5_000);
    while (stderr.read() !== null);
    expect(stderr.writableLength).toBe(0);
    log('last');
    const told = (stderr.read() as Buffer).toString();
    expect(told).toMatch(/^countersign: \d+ lines of this log are lost: nobody read it\ncountersign: last\n$/);
  });
});

describe('a bridge', () => {
  const opened = async (proxy: Proxy): Promise<string> => String(await once(proxy.child.stdout, 'data')).trim();
  const post = (url: string, message: object, headers: Record<string, string> = {}): Exchange =>
    new Exchange(url, 'POST', headers, JSON.stringify({ jsonrpc: '2.0', ...message }));
  const begun = async (url: string): Promise<Record<string, string>> => {
    const got = await post(url, INITIALIZE).done;
    return { 'mcp-session-id': String(got.headers['mcp-session-id']), 'mcp-protocol-version': '2025-06-18' };
  };
  const toolCall = (id: number, name: string, args: object = {}): object => ({
    id,
    method: 'tools/call',
    params: { name, arguments: args },
  });
  /** Sends a request, and never reads what comes back. */
  const unread = (url: string, method: string, headers: Record<string, string>, body?: object): Promise<void> =>
    new Promise((resolve) => {
      const type =
        body === undefined ? { accept: 'text/event-stream' } : { accept: 'application/json', 'content-type': 'application/json' };
      const asked = request(url, { method, agent: false, headers: { ...type, ...headers } }, (response) => {
        response.pause();
        response.on('error', () => {});
        response.once('close', resolve);
      });
      asked.on('error', () => resolve());
      asked.end(body === undefined ? undefined : JSON.stringify({ jsonrpc: '2.0', ...body }));
      onTestFinished(() => void asked.destroy());
    });

  it('cuts off a client that does not read its stream, says so, and serves the others meanwhile', async () => {
    const proxy = new Proxy({ over: 'http' });
    const url = await opened(proxy);
    const [slow, other] = [await begun(url), await begun(url)];
    void unread(url, 'GET', slow);
    const flood = post(url, toolCall(1, 'flood', { messages: FLOOD }), { ...slow, accept: 'application/json' });
    let served = 0;
    while (proxy.flooded < FLOOD) {
      const { messages } = await post(url, toolCall(served, 'echo'), other).done;
      expect(messages).toMatchObject([{ id: served, result: { content: [{ text: 'here' }] } }]);
      served += 1;
    }
    expect((await flood.done).messages).toMatchObject([{ id: 1, result: { content: [{ text: 'flooded' }] } }]);
    expect(served).toBeGreaterThan(0);
    const { peakMib } = await proxy.ended();
    expect(proxy.stderr).toContain('a client did not read what it was sent, and was cut off');
    expect(peakMib).toBeLessThan(MOST_MIB);
  });

  it('lets clients that ask for large answers and read none of them hold no more than there is room for', async () => {
    const proxy = new Proxy({ over: 'http', unread: { maxBytes: 64 * 1024 * 1024 } });
    const url = await opened(proxy);
    const headers = (name: string): Record<string, string> => ({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': name,
    });
    const ask = (id: number, name: string, args: JsonObject): JsonObject => modern(id, 'tools/call', { name, arguments: args });
    for (let id = 0; id < 60; id++) void unread(url, 'POST', headers('large'), ask(id, 'large', { mib: 15 }));
    const { messages } = await post(url, ask(100, 'echo', {}), headers('echo')).done;
    expect(messages).toMatchObject([{ id: 100, result: { content: [{ text: 'here' }] } }]);
    await vi.waitUntil(() => proxy.stderr.split('was cut off').length > 50, PATIENCE);
    const { peakMib } = await proxy.ended();
    expect(peakMib).toBeLessThan(MOST_MIB);
  });
});
