import { EventEmitter } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isObject, type JsonObject } from '../src/message.ts';
import { runStdioProxy, type StdioProxyOptions } from '../src/stdio.ts';
import { FakeGuard } from './fake-guard.ts';

const SERVER = fileURLToPath(new URL('fixtures/recording-server.mjs', import.meta.url));
const call = (id: number, name: string, args = '{}'): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args}}}\n`;
const ping = (id: number): string => `{"jsonrpc":"2.0","id":${id},"method":"ping"}\n`;

let folder: string;
let guard: FakeGuard;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-mcp-'));
  guard = new FakeGuard();
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** A proxy with a client's hands on its streams. */
class Client {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly signals = new EventEmitter();
  readonly exit: Promise<number>;
  pid = 0;
  output = '';
  errors = '';
  readonly #changed = new EventEmitter();

  constructor(options: Partial<StdioProxyOptions> = {}, flags: readonly string[] = []) {
    this.stdout.on('data', (chunk: Buffer) => {
      this.output += chunk.toString();
      this.#changed.emit('change');
    });
    this.stderr.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
      this.#changed.emit('change');
    });
    this.exit = runStdioProxy({
      guard: async () => guard,
      server: 'recorder',
      command: process.execPath,
      args: [SERVER, join(folder, 'received'), ...flags],
      stdin: this.stdin,
      stdout: this.stdout,
      stderr: this.stderr,
      signals: this.signals,
      onReady: ({ pid }) => {
        this.pid = pid;
      },
      ...options,
    });
  }

  async until(claim: () => boolean): Promise<void> {
    while (!claim()) await new Promise((resolve) => this.#changed.once('change', resolve));
  }

  /** Sends, and waits for that many lines on standard output. */
  async exchange(text: string | Buffer, lines: number): Promise<JsonObject[]> {
    this.stdin.write(text);
    await this.until(() => this.output.split('\n').length > lines);
    return this.messages();
  }

  messages(): JsonObject[] {
    return this.output
      .split('\n')
      .slice(0, -1)
      .map((line) => {
        const message: unknown = JSON.parse(line);
        if (!isObject(message)) throw new Error('not a message');
        return message;
      });
  }

  async close(): Promise<number> {
    this.stdin.end();
    return this.exit;
  }
}

const received = (): string => readFileSync(join(folder, 'received'), 'utf8');

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('runStdioProxy', () => {
  it('passes bytes through a real server, denies one call and ends with it', async () => {
    const client = new Client();
    const odd = '{"id" : "\\u0061", "params":{"x":1.0},"method":"ping","jsonrpc":"2.0"}\r\n';
    const messages = await client.exchange(odd + call(1, 'echo', '{"a":1.0}') + call(2, 'denied') + call(3, 'fail'), 4);
    expect(messages.find(({ id }) => id === 1)).toMatchObject({ result: { content: [{ text: '{"a":1}' }] } });
    expect(messages.find(({ id }) => id === 2)).toMatchObject({ result: { isError: true } });
    expect(await client.close()).toBe(0);
    expect(received()).toBe(odd + call(1, 'echo', '{"a":1.0}') + call(3, 'fail'));
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['success', 'error']);
    expect(isAlive(client.pid)).toBe(false);
  });

  it('passes the same bytes whatever the chunks are', async () => {
    const client = new Client();
    const text = call(1, 'echo', '{"s":"é😀"}') + call(2, 'denied') + ping(3);
    for (const byte of Buffer.from(text)) client.stdin.write(Buffer.of(byte));
    await client.exchange('', 3);
    expect(await client.close()).toBe(0);
    expect(received().split('\n').sort()).toEqual((call(1, 'echo', '{"s":"é😀"}') + ping(3)).split('\n').sort());
  });

  it('decides a hundred calls at once', async () => {
    const client = new Client();
    const calls = Array.from({ length: 100 }, (_, i) => call(i, i % 2 === 0 ? 'echo' : 'denied'));
    const messages = await client.exchange(calls.join(''), 100);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(100);
    await client.close();
    expect(received()).toBe(calls.filter((_, i) => i % 2 === 0).join(''));
    expect(guard.outcomes.length).toBe(50);
  });

  it('gives a thousand calls at once each its own result, once, and records each', async () => {
    const client = new Client();
    const ids = Array.from({ length: 1000 }, (_, i) => i);
    const messages = await client.exchange(ids.map((id) => call(id, 'echo', `{"n":${id}}`)).join(''), 1000);
    await client.close();
    expect(client.messages().length).toBe(1000);
    const own = ids.map((id) => ({ jsonrpc: '2.0', id, result: { content: [{ type: 'text', text: `{"n":${id}}` }] } }));
    expect(messages.toSorted((a, b) => Number(a['id']) - Number(b['id']))).toEqual(own);
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(ids.map(() => 'success'));
    expect(new Set(guard.outcomes.map(({ callId }) => callId)).size).toBe(1000);
  });

  it('refuses a message of 100 MB without holding it, and goes on', async () => {
    const client = new Client();
    await client.exchange(ping(1), 1);
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    client.stdin.write('{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"');
    for (let sent = 0; sent < 100; sent++) {
      if (!client.stdin.write(piece)) await new Promise((resolve) => client.stdin.once('drain', resolve));
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    const messages = await client.exchange(`"}}}\n${ping(3)}`, 3);
    expect(messages.find(({ id }) => id === null)).toMatchObject({ error: { data: { 'countersign/problem': 'too-large' } } });
    expect(messages.filter(({ id }) => id === 3)).toHaveLength(1);
    expect(most).toBeLessThan(80 * 1024 * 1024);
    expect(guard.refusals).toHaveLength(1);
    await client.close();
    expect(received()).toBe(ping(1) + ping(3));
  });

  it('answers for a result of 100 MB with an error, records it, and goes on', async () => {
    const client = new Client();
    const [answer] = await client.exchange(call(1, 'huge', '{"bytes":100000000}'), 1);
    expect(answer).toMatchObject({ id: 1, error: { code: -32051 } });
    expect((await client.exchange(ping(2), 2))[1]).toMatchObject({ id: 2, result: {} });
    expect(client.output.length).toBeLessThan(10_000);
    await client.close();
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'error' } }]);
  });

  it('keeps standard output for the protocol', async () => {
    const client = new Client();
    await client.exchange(`noise\n${ping(1)}`, 2);
    await client.until(() => client.errors.includes('recording server ready'));
    expect(client.errors).toContain('countersign: message refused: message is not valid JSON at byte 0 [not-json]\n');
    expect(client.messages()).toMatchObject([{ id: null }, { id: 1 }]);
    await client.close();
  });

  it('gives the server the environment', async () => {
    const client = new Client({ env: { ...process.env, COUNTERSIGN_TEST_VALUE: 'passed on' } });
    expect(await client.exchange(call(1, 'env', '{"name":"COUNTERSIGN_TEST_VALUE"}'), 1)).toMatchObject([
      { result: { content: [{ text: 'passed on' }] } },
    ]);
    await client.close();
  });

  it('answers what a client that closed its input still wants to know', async () => {
    const client = new Client();
    client.stdin.write(call(1, 'echo', '{"late":true}') + ping(2).trimEnd());
    expect(await client.close()).toBe(0);
    expect(client.messages().length).toBe(2);
    expect(received().split('\n').sort()).toEqual((call(1, 'echo', '{"late":true}') + ping(2)).split('\n').sort());
  });

  it('waits for the answers a client still wants', async () => {
    const client = new Client({ exitGraceMs: 0 });
    client.stdin.write(call(1, 'late'));
    await client.close();
    expect(client.messages()).toEqual([{ jsonrpc: '2.0', id: 1, result: { content: [] } }]);
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['success']);
  });

  it.each([
    ['die', 3, 'the server ended with exit code 3'],
    ['die-by-signal', 137, 'the server ended with SIGKILL'],
  ])('answers for a server that ends (%s) and ends like it', async (tool, code, message) => {
    const client = new Client();
    client.stdin.write(call(1, 'never') + ping(2));
    await client.exchange('', 1);
    client.stdin.write(call(3, tool));
    expect(await client.exit).toBe(code);
    expect(client.messages().slice(1)).toEqual([1, 3].map((id) => ({ jsonrpc: '2.0', id, error: { code: -32000, message } })));
    expect(guard.outcomes.map(({ outcome }) => outcome.status)).toEqual(['error', 'error']);
    expect(client.errors).toContain(message);
  });

  it('reads the last words of a server, newline or not', async () => {
    const client = new Client();
    client.stdin.write(call(1, 'unterminated-then-exit'));
    expect(await client.exit).toBe(0);
    expect(client.output).toBe('{"jsonrpc":"2.0","id":1,"result":{}}\n');
    expect(guard.outcomes).toMatchObject([{ outcome: { status: 'success' } }]);
  });

  it('says that a server cannot be started', async () => {
    const client = new Client({ command: join(folder, 'no-such-program') });
    client.stdin.write(ping(1));
    expect(await client.exit).toBe(127);
    expect(client.errors).toContain('not found');
    expect(client.messages()).toMatchObject([{ id: 1, error: { code: -32000 } }]);
  });

  it.each([[[]], [['ignore-eof']], [['ignore-eof', 'ignore-term']]])(
    'leaves no server behind when the client closes (%j)',
    async (flags) => {
      const client = new Client({ exitGraceMs: 10, killGraceMs: 10 }, flags);
      await client.exchange(ping(1), 1);
      await client.close();
      expect(isAlive(client.pid)).toBe(false);
    },
  );

  it('does not wait for ever for an answer nobody gives', async () => {
    const client = new Client({ exitGraceMs: 10, killGraceMs: 10, halfCloseMs: 10 }, ['ignore-eof', 'ignore-term']);
    await client.exchange(call(1, 'never') + ping(2), 1);
    expect(await client.close()).toBe(137);
    expect(client.messages()[1]).toMatchObject({ id: 1, error: { code: -32000 } });
  });

  it('leaves no server behind when the client stops reading', async () => {
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error('EPIPE'), { code: 'EPIPE' })) });
    const client = new Client({ stdout: gone, killGraceMs: 10 }, ['ignore-eof', 'ignore-term']);
    client.stdin.write(ping(1));
    expect(await client.exit).toBe(137);
    expect(isAlive(client.pid)).toBe(false);
  });

  it.each([
    ['SIGTERM', [], 143],
    ['SIGTERM', ['ignore-term'], 137],
    ['SIGHUP', [], 129],
    ['SIGINT', [], 42],
  ])('passes %s on (%j)', async (signal, flags, code) => {
    const client = new Client({ killGraceMs: 10 + (flags.length === 0 ? 60_000 : 0) }, flags);
    await client.exchange(ping(1), 1);
    client.signals.emit(signal);
    expect(await client.exit).toBe(code);
    expect(client.signals.eventNames()).toEqual([]);
  });

  it('reads the server no faster than the client reads', async () => {
    let mostHeld = 0;
    let written = 0;
    let reading = false;
    const held: (() => void)[] = [];
    const slow: Writable = new Writable({
      write(chunk: Buffer, _encoding, done) {
        const take = (): void => {
          mostHeld = Math.max(mostHeld, slow.writableLength);
          written += chunk.length;
          done();
        };
        if (reading) take();
        else held.push(take);
      },
    });
    const client = new Client({ stdout: slow });
    client.stdin.write(call(1, 'huge', '{"bytes":4000000}') + call(2, 'huge', '{"bytes":4000000}') + call(3, 'huge', '{"bytes":4000000}'));
    // Turns enough for an unbounded reader to take in all three, which the server would tell.
    for (let turn = 0; turn < 20_000 && client.errors.split('huge answer read').length <= 3; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    reading = true;
    for (const take of held) take();
    expect(await client.close()).toBe(0);
    expect(written).toBeGreaterThan(12_000_000);
    expect(mostHeld).toBeLessThan(5_000_000);
  });

  it('opens no guard for a client that only looks', async () => {
    let opened = 0;
    const client = new Client({
      guard: async () => {
        opened += 1;
        return guard;
      },
    });
    await client.exchange('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}\n', 1);
    await client.close();
    expect(opened).toBe(0);
  });
});

describe('a launcher that becomes the server', () => {
  /** Reads its word from descriptor 3, says something back, then is the server or ends. */
  const LAUNCHER = `
    const fs = require('node:fs');
    const word = fs.readFileSync(3, 'utf8');
    if (word.startsWith('no')) { fs.writeSync(3, 'because of ' + word); process.exit(126); }
    fs.closeSync(3);
    import(process.argv[1]);
  `;
  const launched = (word: string): Partial<StdioProxyOptions> => ({
    args: ['-e', LAUNCHER, SERVER, join(folder, 'received')],
    control: { send: Buffer.from(word), problem: (told) => (told.length === 0 ? undefined : told.toString()) },
  });

  it('gets its word, and what it said is why there is no server', async () => {
    const client = new Client(launched(`no ${'x'.repeat(100_000)}`));
    expect(await client.exit).toBe(126);
    expect(client.errors).toContain('the server could not be started: because of no xxx');
  });

  it('is the server then', async () => {
    const client = new Client(launched('yes'));
    client.stdin.write(ping(1));
    await client.until(() => client.output.includes('"id":1'));
    client.stdin.end();
    expect(await client.exit).toBe(0);
  });
});
