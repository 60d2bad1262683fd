/** A batch of messages over HTTP to processes that write down what reaches them: those of sessions, and the one that clients without share. */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { startHttpBridge } from '../../src/http/http-bridge.ts';
import { someAllowed } from './guard.ts';
import { exchanged, headersOf } from './http.ts';
import type { Sent } from './messages.ts';
import type { Traffic } from './oracle.ts';
import { receivedIn, UPSTREAM } from './stdio.ts';

/** Exchanges at once. */
const AT_ONCE = 8;
const INITIALIZE = '{"jsonrpc":"2.0","id":"begin","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}';

export async function overBridge(messages: readonly Sent[]): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-mcp-'));
  const { guard, store } = someAllowed();
  const bridge = await startHttpBridge({
    command: process.execPath,
    args: [UPSTREAM, join(folder, 'received')],
    guard: async () => guard,
    server: 's',
    stderr: new PassThrough().resume(),
    log: () => {},
    port: 0,
    // What is bent may begin sessions, and each is a process.
    maxSessions: 6,
    killGraceMs: 200,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  try {
    const answers = await inSessions(bridge.url, agent, messages);
    await bridge.close();
    await guard.close();
    const common = {
      code: 0,
      framing: 'lines',
      passed: (bytes: Buffer) => [passedLine(bytes)],
      isExchange: true,
      mayGiveUp: true,
    } as const;
    const received = receivedIn(folder).filter((line) => line.toString() !== `${INITIALIZE}\n`);
    return { ...common, received, answers, entries: store.entries() };
  } finally {
    agent.destroy();
    await bridge.close();
    rmSync(folder, { recursive: true });
  }
}

/** Sends each in a session or without one, and gives the answer to each. */
export async function inSessions(url: string, agent: Agent, messages: readonly Sent[]): Promise<readonly Buffer[]> {
  const streams: { destroy(): void }[] = [];
  try {
    // Of two sessions only one gets what is bent: that may end it.
    const whole = await begun(url);
    let bent = await begun(url);
    streams.push(listening(url, whole));
    const answers: Buffer[] = [];
    const left = messages.entries();
    const work = async (): Promise<void> => {
      for (const [i, message] of left) {
        const headers = headersOf(message, message.clean === undefined ? bent : whole, true);
        const answer = await exchanged(url, agent, message.bytes, headers);
        answers[i] = answer;
        if (headers['mcp-session-id'] === bent && answer.includes('this session is not known')) bent = await begun(url);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return answers;
  } finally {
    for (const stream of streams) stream.destroy();
  }
}

/** A body as one line: line ends become spaces. */
export function passedLine(bytes: Buffer): string {
  return `${bytes
    .toString('latin1')
    .replace(/^\xef\xbb\xbf/, '')
    .replaceAll(/[\r\n]/g, ' ')}\n`;
}

/** @returns the id of a session. */
async function begun(url: string): Promise<string> {
  const headers = { accept: 'application/json, text/event-stream', 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: INITIALIZE });
  await response.text();
  return response.headers.get('mcp-session-id') ?? '';
}

/** While its client listens a session makes room for no other. */
function listening(url: string, session: string): { destroy(): void } {
  const stream = request(url, { agent: false, headers: { accept: 'text/event-stream', 'mcp-session-id': session } }, (response) => {
    response.on('error', () => {}).resume();
  });
  stream.on('error', () => {});
  stream.end();
  return stream;
}
