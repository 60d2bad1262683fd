/** The Python client of the example, before servers that answer wrongly: nothing runs that was not permitted, and nothing is shown. */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../../../examples/guard-a-python-agent', import.meta.url));
const WANTED = /^Python 3\.(?:[89]|\d\d)/;
const python = ['python3', '/usr/bin/python3'].find((command) =>
  WANTED.test(spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
);
if (python === undefined) console.warn('SKIPPED: no python3 of version 3.8 or later, so the Python client is not tested');

/** Calls `pay(amount, to)` and prints what came of it: whether it ran, with what, and how the call ended. */
const PROGRAM = `
import json, sys
sys.path.insert(0, sys.argv[1])
from countersign_client import Countersign
client, ran = Countersign(agent="a", port=int(sys.argv[2]), token="t" * 40, wait_seconds=0), []
words = sys.argv[3] if len(sys.argv) > 3 else None

@client.guarded("pay")
def pay(amount, to="ana"):
    ran.append([amount, to])
    if words is not None:
        raise RuntimeError(words)
    return "paid"

try:
    ended = pay(12)
except Exception as error:
    ended = type(error).__name__ + ": " + str(error)
print(json.dumps({"ran": ran, "ended": ended}))
`;

interface Ended {
  readonly ran: readonly unknown[];
  readonly ended: string;
}

type Answer = (response: ServerResponse, request: IncomingMessage, body: string) => void;

const json =
  (value: unknown, status = 200): Answer =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(typeof value === 'string' ? value : JSON.stringify(value));

const PERMIT = { kind: 'permit', call: '01-a', args: { amount: 12, to: 'ana' }, permit_token: 'x'.repeat(43) };
const SETTLED = { kind: 'settled', call: '01-a', result: 'paid' };

/** @param answers - to the requests, in their order; the last one to all that follow. */
async function run(
  answers: readonly Answer[],
  words?: string,
): Promise<Ended & { readonly paths: readonly string[]; readonly bodies: readonly string[] }> {
  const paths: string[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => {
      paths.push(request.url ?? '');
      bodies.push(body);
      answers[Math.min(paths.length, answers.length) - 1]?.(response, request, body);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const stdout = await new Promise<string>((resolve, reject) => {
    const args = ['-c', PROGRAM, FOLDER, String(port), ...(words === undefined ? [] : [words])];
    execFile(python ?? 'python3', args, { env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1' } }, (error, out) =>
      error === null ? resolve(out) : reject(error),
    );
  });
  server.closeAllConnections();
  return { ...(JSON.parse(stdout) as Ended), paths, bodies };
}

describe.skipIf(python === undefined)('the Python client', () => {
  it('runs what was permitted, once, and tells it', async () => {
    const { ran, ended, paths } = await run([json(PERMIT), json(SETTLED)]);
    expect({ ran, ended }).toEqual({ ran: [[12, 'ana']], ended: 'paid' });
    expect(paths).toEqual(['/countersign/v1/permits', '/countersign/v1/permits/01-a/outcome']);
  });

  it('runs what a person made of it', async () => {
    const edited = { ...PERMIT, args: { amount: 5, to: 'ana' }, edited: { call: '00-a' } };
    expect(await run([json(edited), json(SETTLED)])).toMatchObject({ ran: [[5, 'ana']], ended: 'paid' });
  });

  it.each<[string, Answer]>([
    ['an error that holds a permit', json(PERMIT, 500)],
    ['another success', json(PERMIT, 201)],
    [
      'a redirect',
      (response) => response.writeHead(307, { location: '/countersign/v1/permits', 'content-type': 'application/json' }).end('{}'),
    ],
    ['a page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify(PERMIT))],
    [
      'half an answer',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-length': '9999' })
          .write(JSON.stringify(PERMIT), () => response.destroy()),
    ],
    ['nothing', (response) => void response.destroy()],
    ['no JSON', json('permit')],
    ['a list', json([PERMIT])],
    ['a number that is none', json(`{"kind":"permit","call":"01-a","permit_token":"x","args":{"amount":NaN,"to":"ana"}}`)],
    ['a member given twice', json(`{"kind":"refusal","kind":"permit","call":"01-a","permit_token":"x","args":{"amount":12,"to":"ana"}}`)],
    ['too deep a value', json('['.repeat(200_000))],
    ['too long an answer', json({ ...PERMIT, more: 'x'.repeat(8 * 1024 * 1024) })],
    ['advice', json({ decision: true })],
    ['another kind', json({ ...PERMIT, kind: 'Permit' })],
    ['no token', json({ ...PERMIT, permit_token: undefined })],
    ['no call', json({ ...PERMIT, call: undefined })],
    ['a call that climbs', json({ ...PERMIT, call: '../../access/v1/evaluation?' })],
    ['a call with a line of its own', json({ ...PERMIT, call: '01\n' })],
    ['no arguments', json({ ...PERMIT, args: undefined })],
    ['a list of arguments', json({ ...PERMIT, args: [12, 'ana'] })],
    ['other arguments', json({ ...PERMIT, args: { amount: 1200, to: 'ana' } })],
    ['fewer arguments', json({ ...PERMIT, args: { amount: 12 } })],
    ['arguments that the function does not have', json({ ...PERMIT, args: { amount: 12, to: 'ana', self: 1 }, edited: { call: '00' } })],
  ])('runs nothing on %s', async (_what, answer) => {
    const { ran, ended } = await run([answer, json({ kind: 'settled', call: '01-a' })]);
    expect(ran).toEqual([]);
    expect(ended).toMatch(/^Unavailable: /);
  });

  it('gives back a permit for other arguments', async () => {
    const { bodies } = await run([json({ ...PERMIT, args: { amount: 1200, to: 'ana' } }), json(SETTLED)]);
    expect(JSON.parse(bodies[1] ?? '')).toEqual({ permit_token: PERMIT.permit_token, status: 'cancelled' });
  });

  it.each<[string, Answer]>([
    ['an error', json({ error: { code: 'OUTCOME_NOT_RECORDED', message: 'no' } }, 503)],
    ['nothing', (response) => void response.destroy()],
    ['the outcome of another call', json({ ...SETTLED, call: '02-b' })],
    ['no words in place of it', json({ kind: 'settled', call: '01-a', replaced: { action: 'withhold' } })],
  ])('shows no result when telling it brings %s', async (_what, answer) => {
    const { ran, ended } = await run([json(PERMIT), answer]);
    expect(ran).toHaveLength(1);
    expect(ended).toMatch(/^Unavailable: /);
  });

  it('shows no more of an error than was looked at', async () => {
    const words = `${'x'.repeat(4000)} the secret behind it`;
    const echo: Answer = (response, _request, body) =>
      json({ kind: 'settled', call: '01-a', error: { message: (JSON.parse(body) as { error: { message: string } }).error.message } })(
        response,
        _request,
        body,
      );
    expect((await run([json(PERMIT), echo], words)).ended).toBe(`ToolFailed: ${'x'.repeat(4000)}`);
    expect((await run([json(PERMIT), echo], 'short')).ended).toBe('RuntimeError: short');
    expect((await run([json(PERMIT), json({ kind: 'settled', call: '01-a' })], 'short')).ended).toMatch(/^Unavailable: /);
  });

  it.each([
    ['async def f(a): pass', 'async'],
    ['def f(a): yield a', 'a generator'],
    ['def f(*args): pass', 'of any arguments'],
    ['def f(**kwargs): pass', 'of any names'],
    ['def f(a, /): pass', 'of places'],
  ])('does not take a function whose call could not be decided: %s', (source) => {
    const program = `import sys; sys.path.insert(0, sys.argv[1])\nfrom countersign_client import Countersign\n${source}\nCountersign(agent="a", port=1, token="t").guarded("f")(f)`;
    const { stderr, status } = spawnSync(python ?? 'python3', ['-c', program, FOLDER], { encoding: 'utf8' });
    expect(status).toBe(1);
    expect(stderr).toMatch(/TypeError: f: a guarded function/);
  });
});
