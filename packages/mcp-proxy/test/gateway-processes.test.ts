/** Servers that are processes: killed, flooding, mute, crashing, and what is left of them when the gateway ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { isObject, type JsonObject } from '../src/message.ts';

const GATEWAY = fileURLToPath(new URL('fixtures/gateway-process.ts', import.meta.url));
const SERVER = fileURLToPath(new URL('fixtures/unruly-server.mjs', import.meta.url));
const PATIENCE = { timeout: 40_000, interval: 50 };

/** The gateway as a process, with servers by name and their flags. */
class Running {
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-gateway-'));
  readonly child: ChildProcess;
  readonly messages: JsonObject[] = [];
  stderr = '';
  #count = 0;

  constructor(servers: Readonly<Record<string, readonly string[]>>) {
    const targets = Object.entries(servers).map(([name, flags]) => ({
      name,
      command: process.execPath,
      args: [SERVER, this.#pidFile(name), ...flags],
    }));
    const given = JSON.stringify({ servers: targets, ledger: join(this.folder, 'ledger'), greetingWaitMs: 2000, listWaitMs: 2000 });
    this.child = spawn(process.execPath, ['--conditions=@countersign/source', '--no-warnings', GATEWAY, given], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString('utf8');
    });
    createInterface({ input: this.child.stdout as NonNullable<ChildProcess['stdout']> }).on('line', (line) => {
      const message: unknown = JSON.parse(line);
      // A flood would fill this process.
      if (isObject(message) && message['method'] !== 'notifications/message') this.messages.push(message);
    });
    onTestFinished(() => {
      this.child.kill('SIGKILL');
      for (const name of Object.keys(servers)) for (const pid of this.pids(name)) killed(pid);
      rmSync(this.folder, { recursive: true, force: true });
    });
  }

  send(message: JsonObject): void {
    this.child.stdin?.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  async request(method: string, params: JsonObject = {}): Promise<JsonObject> {
    const id = ++this.#count;
    this.send({ id, method, params });
    return vi.waitUntil(() => this.messages.find((message) => message['id'] === id), PATIENCE);
  }

  async call(name: string): Promise<JsonObject> {
    return this.request('tools/call', { name, arguments: {} });
  }

  async initialize(): Promise<void> {
    await this.request('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } });
    this.send({ method: 'notifications/initialized' });
  }

  /** Of a server and its child, of all its runs. */
  pids(name: string): readonly number[] {
    return existsSync(this.#pidFile(name)) ? readFileSync(this.#pidFile(name), 'utf8').trim().split('\n').map(Number) : [];
  }

  #pidFile(name: string): string {
    return join(this.folder, `${name}.pids`);
  }
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '');
  } catch {
    return false;
  }
}

describe('a gateway before processes', () => {
  it('answers what ran in one that is killed, starts it again, and serves the other all the while', async () => {
    const running = new Running({ a: [], b: [] });
    await running.initialize();
    const waiting = running.call('a__never');
    await running.call('b__pid');
    const [first = 0] = running.pids('a');
    process.kill(first, 'SIGKILL');
    expect(await waiting).toMatchObject({ error: { code: -32000, message: 'the server ended with SIGKILL' } });
    expect(await running.call('b__pid')).toMatchObject({ result: { content: [{ text: String(running.pids('b')[0]) }] } });
    await expect.poll(async () => JSON.stringify(await running.call('a__pid')), PATIENCE).toMatch(/"text":"\d+"/);
    expect(running.pids('a')).toHaveLength(2);
    expect(running.pids('b')).toHaveLength(1);
    expect(running.messages.some(({ method }) => method === 'notifications/tools/list_changed')).toBe(true);
  });

  it('serves one server while another floods', async () => {
    const running = new Running({ a: [], b: [] });
    await running.initialize();
    await running.call('a__flood');
    for (let at = 0; at < 20; at++) expect(await running.call('b__pid')).toMatchObject({ result: {} });
  });

  it('serves the others when one says nothing and one never comes up', async () => {
    const running = new Running({ mute: ['mute'], crashing: ['crash'], b: [] });
    await running.initialize();
    expect(await running.call('b__pid')).toMatchObject({ result: {} });
    const { result } = await running.request('tools/list');
    expect((result as { readonly tools: readonly JsonObject[] }).tools.map(({ name }) => name)).toEqual(['b__pid', 'b__never', 'b__flood']);
    expect(await running.call('crashing__pid')).toMatchObject({
      error: { code: -32000, message: expect.stringContaining('server crashing is not running: the server ended with exit code 9') },
    });
    expect(running.stderr).toMatch(/server crashing is down \(1 in a row\): the server ended with exit code 9; restart in 0\.5 s/);
  });

  it('starts no process before the client speaks', async () => {
    const running = new Running({ a: [] });
    running.child.stdin?.end();
    const [code] = (await once(running.child, 'exit')) as [number];
    expect(code).toBe(0);
    expect(running.pids('a')).toEqual([]);
  });

  it.each([
    ['the client closes its end', (child: ChildProcess): void => void child.stdin?.end(), 0],
    ['it is told to end', (child: ChildProcess): void => void child.kill('SIGTERM'), 143],
    ['it is interrupted', (child: ChildProcess): void => void child.kill('SIGINT'), 130],
    ['the terminal is gone', (child: ChildProcess): void => void child.kill('SIGHUP'), 129],
  ])('leaves no process behind when %s, also of a server that would stay and has children', async (_what, end, expected) => {
    const running = new Running({ a: ['with-child', 'ignore-eof'], b: [] });
    await running.initialize();
    await running.call('a__pid');
    await running.call('b__pid');
    const exit = once(running.child, 'exit');
    end(running.child);
    expect(await exit).toEqual([expected, null]);
    const all = [...running.pids('a'), ...running.pids('b')];
    expect(all).toHaveLength(3);
    await expect.poll(() => all.filter(isAlive), PATIENCE).toEqual([]);
  });

  it('killed outright leaves the servers with the end of their input, and they end', async () => {
    const running = new Running({ a: [], b: [] });
    await running.initialize();
    await running.call('a__pid');
    running.child.kill('SIGKILL');
    await expect.poll(() => [...running.pids('a'), ...running.pids('b')].filter(isAlive), PATIENCE).toEqual([]);
  });
});
