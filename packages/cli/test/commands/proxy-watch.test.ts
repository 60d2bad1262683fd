/** `monitor.servers: true`: what a server does while it works on a call is on record with that call. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { project, run, Sink } from '../harness.ts';

/** Works on a call until the file `go` is there; then it opens what it is told to, and answers when `seen` is there. It never rests. */
const SERVER = `
import { existsSync, openSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
process.stdin.on('end', () => process.exit());
setInterval(() => {}, 5);
const until = async (name) => { while (!existsSync(name)) await new Promise((resolve) => setTimeout(resolve, 5)); };
createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'tools/call') {
    writeFileSync('working', '');
    await until('go');
    openSync(params.arguments.file, 'r');
    await until('seen');
  }
  const result = method === 'initialize' ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
    : method === 'tools/list' ? { tools: [{ name: 'try', inputSchema: { type: 'object' } }] }
    : { content: [{ type: 'text', text: 'done' }] };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
});
`;
const ALLOWED = '  rules:\n    - { id: try, tools: ["a/try"], effect: allow }\n';
const LINUX_ONLY = process.platform === 'linux' ? undefined : 'there is no /proc to poll';

async function served(monitor: string, argv: readonly string[], mode = 'audit_only') {
  const cwd = await project(
    `servers:\n  a: { command: ${JSON.stringify(process.execPath)}, args: [server.mjs], cwd: . }\nmonitor: ${monitor}\nscope: { behavior: { mode: ${mode} } }\n`,
    (whole) => whole.replace(/^ {2}rules:\n/m, ALLOWED),
  );
  for (const [name, text] of [
    ['server.mjs', SERVER],
    ['bait.key', 'bait'],
    ['plain.txt', 'plain'],
  ] as const)
    writeFileSync(join(cwd, name), text);
  const [stdin, stdout] = [new PassThrough(), new Sink()];
  const send = (message: object): void => void stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  const ran = run(['proxy', ...argv], { cwd, stdin, stdout, env: { PATH: process.env['PATH'] ?? '' } });
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
  send({ id: 0, method: 'initialize', params });
  await vi.waitFor(() => expect(stdout.text).toContain('"id":0'), { timeout: 30_000 });
  send({ method: 'notifications/initialized' });
  return {
    cwd,
    stdout,
    /** @param name - of the tool, to the client. @returns what is on record of calls and verdicts. */
    async call(name: string, file: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
      send({ id: 1, method: 'tools/call', params: { name, arguments: { file } } });
      await vi.waitFor(() => expect(existsSync(join(cwd, 'working'))).toBe(true), { timeout: 30_000 });
      // On the clock of the proxy, which runs in this process: it has looked since the call began, and once more.
      for (let i = 0; i < 3; i++) await pause(300);
      writeFileSync(join(cwd, 'go'), '');
      for (let i = 0; i < 3; i++) await pause(300);
      writeFileSync(join(cwd, 'seen'), '');
      await vi.waitFor(() => expect(stdout.text).toContain('"id":1'), { timeout: 30_000 });
      stdin.end();
      expect((await ran).code).toBe(0);
      await run(['export', '--output', 'all.jsonl'], { cwd });
      const lines = readFileSync(join(cwd, 'all.jsonl'), 'utf8').trim().split('\n');
      return lines.slice(1).map((line) => JSON.parse(line).entry);
    },
  };
}

describe.skipIf(LINUX_ONLY !== undefined)('a proxy that watches its servers', { timeout: 120_000 }, () => {
  it.each([
    ['the one that is named', ['--server', 'a'], 'try'],
    ['those of the configuration', [], 'a__try'],
  ] as const)('%s: a canary that is read during a call is on record with it', async (_what, argv, tool) => {
    const proxy = await served('{ servers: true, poll: 20ms, canaries: [bait.key] }', argv);
    const entries = await proxy.call(tool, join(proxy.cwd, 'bait.key'));
    const decision = entries.find(({ kind }) => kind === 'decision');
    const verdicts = entries.filter(({ kind }) => kind === 'verdict');
    expect(verdicts).toMatchObject([
      { rule: 'forbidden-path', level: 'KILL', enforced: 'FLAG', mode: 'audit_only', call: decision?.['call'] },
    ]);
  });

  it.each([
    ['a file that it may read', '{ servers: true, poll: 20ms, canaries: [bait.key] }', 'plain.txt'],
    ['a canary, where nobody asked for watching', '{ poll: 20ms, canaries: [bait.key] }', 'bait.key'],
  ])('%s is no verdict', async (_what, monitor, file) => {
    const proxy = await served(monitor, ['--server', 'a']);
    const entries = await proxy.call('try', join(proxy.cwd, file));
    expect(entries.map(({ kind }) => kind)).toContain('outcome');
    expect(entries.filter(({ kind }) => kind === 'verdict')).toEqual([]);
  });

  it('a kill ends the server, the call fails, and the proxy answers its client', async () => {
    const proxy = await served('{ servers: true, poll: 20ms, canaries: [bait.key] }', [], 'enforce_kill');
    const entries = await proxy.call('a__try', join(proxy.cwd, 'bait.key'));
    const decision = entries.find(({ kind }) => kind === 'decision');
    expect(entries).toContainEqual(expect.objectContaining({ kind: 'verdict', enforced: 'KILL', call: decision?.['call'] }));
    expect(entries).toContainEqual(expect.objectContaining({ kind: 'containment', event: 'killed', left: 0 }));
    expect(entries).toContainEqual(expect.objectContaining({ kind: 'session', event: 'halted', session: decision?.['session'] }));
    expect(proxy.stdout.text).not.toContain('"text":"done"');
    // And there is an incident, as the ledger has it.
    const listed = JSON.parse((await run(['incidents', 'list', '--json'], { cwd: proxy.cwd })).stdout);
    const id = entries.find(({ kind }) => kind === 'containment')?.['incident'];
    expect(JSON.stringify(listed)).toContain(String(id));
    const shown = await run(['incidents', 'show', String(id)], { cwd: proxy.cwd });
    expect(shown.stdout).toContain('forbidden-path');
    const noted = entries.filter((entry) => entry['topic'] === 'incident-file');
    expect(JSON.stringify(noted)).toContain(String(id));
  });
});
