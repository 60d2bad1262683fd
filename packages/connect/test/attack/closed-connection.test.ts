/** Whose connection it was cannot be told once it is closed: an answer whose sender hung up at once must count for nothing. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { approvalPage } from '../../src/approvals/page.ts';
import { peerSocket, tellsPeers } from '../../src/approvals/peer-socket.ts';
import { ledgerSource } from '../../src/approvals/source.ts';
import { type Handler, serve } from '../../src/http/serve.ts';
import { APPROVER, cookieOf, ledger } from '../approvals/site.ts';

/** The page on a real port, whose requests with `x-late` reach it after their sender is gone. */
async function served() {
  const opened = ledger();
  const { guard, path } = opened;
  let origin = '';
  let hungUp: Promise<unknown> = Promise.resolve();
  const answered: Promise<Response>[] = [];
  const page = approvalPage({
    origin: () => origin,
    source: ledgerSource(path),
    approvals: guard.approvals,
    approver: APPROVER,
  });
  const handler: Handler = async (request, peer) => {
    if (request.headers.has('x-late')) await hungUp;
    const response = page.handler(request, peer);
    answered.push(response);
    return response;
  };
  const server = await serve({ handler });
  onTestFinished(() => server.close());
  origin = server.url;
  const login = async (): Promise<string> =>
    cookieOf(
      await fetch(`${origin}/login`, {
        method: 'POST',
        redirect: 'manual',
        headers: { origin },
        body: new URLSearchParams({ code: new URL(page.newLink()).hash.slice(1) }),
      }),
    );
  /** Sends a form and hangs up without waiting for what comes of it. */
  const sendAndLeave = async (place: string, cookie: string, form: Readonly<Record<string, string>>): Promise<number> => {
    const body = new URLSearchParams(form).toString();
    const socket = connect(server.port, '127.0.0.1');
    hungUp = once(socket, 'close');
    const before = answered.length;
    const { host } = new URL(origin);
    const head = [
      `POST ${place} HTTP/1.1`,
      `Host: ${host}`,
      `Origin: ${origin}`,
      `Cookie: ${cookie}`,
      'X-Late: yes',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
    await expect.poll(() => answered.length, { timeout: 20_000 }).toBe(before + 1);
    return (await (answered.at(-1) as Promise<Response>)).status;
  };
  const seen = async (id: string, cookie: string): Promise<string> =>
    /name="seen" value="([0-9a-f]{32})"/.exec(await (await fetch(`${origin}/approvals/${id}`, { headers: { cookie } })).text())?.[1] ?? '';
  return { opened, login, sendAndLeave, seen };
}

it.runIf(process.platform === 'linux')('an answer whose sender hung up is not taken, whoever was logged in', async () => {
  const { opened, login, sendAndLeave, seen } = await served();
  const id = await opened.ask();
  const cookie = await login();
  const form = { do: 'approve', seen: await seen(id, cookie) };
  expect(form.seen).not.toBe('');
  expect(await sendAndLeave(`/approvals/${id}`, cookie, form)).toBe(401);
  expect(await opened.state(id)).toBe('pending');
});

it('a closed connection is nobody’s, whatever number the kernel gives for its user', () => {
  const closed = '   0: 0100007F:C350 0100007F:1248 05 00000000:00000000 03:0000175E 00000000     0        0 0 3 0000000000000000\n';
  const from = (table: string) => () => table;
  expect(peerSocket({ address: '127.0.0.1', port: 50_000 }, 4680, from(closed))).toBe(undefined);
  expect(tellsPeers(from(closed))).toBe(true);
  expect(tellsPeers(from(''))).toBe(false);
});
