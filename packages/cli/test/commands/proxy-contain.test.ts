import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { project, run } from '../harness.ts';
import { noLandlock, noSrt } from '../sandboxes.ts';

/** Not in a folder that is granted. */
const SECRET = fileURLToPath(import.meta.url);
const OUTSIDE = join(dirname(SECRET), 'countersign-was-here');

/** Answers every call with what came of reading the file, of writing outside and inside, and with what it was sent. */
const SERVER = `
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
const [secret, outside] = process.argv.slice(2);
const tried = (fn) => { try { fn(); return 'done'; } catch (error) { return error.code; } };
const found = [tried(() => readFileSync(secret)), tried(() => writeFileSync(outside, 'x')), tried(() => writeFileSync('made', 'x')), process.env.OWN];
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  const result = method === 'initialize' ? { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
    : method === 'tools/list' ? { tools: [{ name: 'try', inputSchema: { type: 'object' } }] }
    : { content: [{ type: 'text', text: JSON.stringify([...found, params.arguments.text]) }] };
  console.log(JSON.stringify({ jsonrpc: '2.0', id, result }));
});
`;

const ALLOWED = '  rules:\n    - { id: try, tools: ["a/try"], effect: allow }\n';

async function proxied(contain: string, more = '', text = '') {
  const args = `[server.mjs, ${JSON.stringify(SECRET)}, ${JSON.stringify(OUTSIDE)}]`;
  const cwd = await project(
    `servers:\n  a: { command: ${JSON.stringify(process.execPath)}, args: ${args}, env: { OWN: mine, NODE_OPTIONS: --no-warnings }, cwd: ., contain: ${contain} }\nscope: { filesystem: { forbidden_paths: [${JSON.stringify(SECRET)}] } }\n${more}`,
    (whole) => whole.replace(/^ {2}rules:\n/m, ALLOWED),
  );
  writeFileSync(join(cwd, 'server.mjs'), SERVER);
  const stdin = new PassThrough();
  const messages = [
    { id: 0, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } } },
    { id: 1, method: 'tools/call', params: { name: 'try', arguments: { text } } },
  ];
  for (const message of messages) stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  stdin.end();
  const { code, stdout, stderr } = await run(['proxy', '--server', 'a'], { cwd, stdin, env: { PATH: '/usr/bin:/bin' } });
  const answer = stdout.split('\n').find((line) => line.includes('"id":1'));
  const result = (JSON.parse(answer ?? '{}') as { readonly result?: { readonly content: readonly { readonly text: string }[] } }).result; // written by the server above
  return { code, stderr, cwd, found: result === undefined ? undefined : (JSON.parse(result.content[0]?.text ?? 'null') as unknown) };
}

describe('servers that are shut in', { timeout: 120_000 }, () => {
  it('off: is as before, and nothing is told', async () => {
    onTestFinished(() => rmSync(OUTSIDE, { force: true }));
    const { found, stderr } = await proxied('off', '', 'x');
    expect((found as readonly unknown[])[0]).toBe('done');
    expect(stderr).not.toContain('shut in');
  });

  it.skipIf(noLandlock !== undefined)('by landlock: nothing outside is read or written, and messages of any size pass', async () => {
    const text = `${'ä"\\\n'.repeat(50_000)}end`;
    const { code, found, stderr, cwd } = await proxied('landlock', '', text);
    expect({ code, found }).toEqual({ code: 0, found: ['EACCES', 'EACCES', 'done', 'mine', text] });
    expect([existsSync(OUTSIDE), existsSync(join(cwd, 'made'))]).toEqual([false, true]);
    expect(stderr).toMatch(/^countersign: server a is shut in by landlock$/m);
    expect(stderr).toMatch(/^countersign: server a - landlock does not hold it to: .*sockets/m);
  });

  it.skipIf(noSrt !== undefined)('by sandbox-runtime: the same', async () => {
    const text = `${'ä"\\\n'.repeat(50_000)}end`;
    const { code, found, stderr } = await proxied('srt', '', text);
    expect(code).toBe(0);
    expect(found).toEqual([expect.stringMatching(/^(?:ENOENT|EACCES|EPERM)$/), 'EROFS', 'done', 'mine', text]);
    expect(existsSync(OUTSIDE)).toBe(false);
    expect(stderr).toMatch(/server a is shut in by srt/);
  });

  it('a program that is not there is not looked for again when it is started', async () => {
    const cwd = await project('servers:\n  a: { command: not-there, contain: landlock }\n');
    const { code, stderr } = await run(['proxy'], { cwd });
    expect([code, /servers\.a\.command: not-there is not found|MONITOR_UNAVAILABLE/.test(stderr)]).toEqual([1, true]);
  });

  it.each(['lanlock', 'true', '[landlock]'])('contain: %s is refused', async (contain) => {
    const { code, stderr } = await proxied(contain);
    expect(code).toBe(1);
    expect(stderr).toContain('servers.a');
  });
});
