/**
 * A batch of messages over HTTP to two servers as one, in sessions and without. To the client names say whose they are; what reaches a
 * server has its own names in their place, and nothing else is another byte.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import type { Entry } from '@countersign/core';
import { startHttpGateway } from '../../src/http/http-bridge.ts';
import { inSessions, passedLine } from './bridge.ts';
import { someAllowed } from './guard.ts';
import type { Sent } from './messages.ts';
import { isCall, type Traffic } from './oracle.ts';
import { receivedIn, UPSTREAM } from './stdio.ts';

const SERVERS = ['s', 't'];

export async function overGateway(messages: readonly Sent[]): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-mcp-'));
  const { guard, store } = someAllowed(SERVERS);
  const bridge = await startHttpGateway({
    servers: SERVERS.map((name) => ({
      name,
      command: process.execPath,
      args: [UPSTREAM, join(folder, `received.${name}`)],
      killGraceMs: 200,
    })),
    guard: async () => guard,
    version: '0',
    stderr: new PassThrough().resume(),
    log: () => {},
    port: 0,
    // What is bent may begin sessions, and each is two processes.
    maxSessions: 6,
    exitGraceMs: 200,
    greetingWaitMs: 60_000,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  try {
    const sent = messages.map((message) => ({ ...message, bytes: ofClient(message.bytes) }));
    const answers = await inSessions(bridge.url, agent, sent);
    await bridge.close();
    await guard.close();
    const received = new Map(SERVERS.map((name) => [name, receivedIn(folder, `received.${name}.`).filter((line) => !isOwn(line))]));
    for (const [name, lines] of received) mustBeItsOwn(name, lines, store.entries());
    return {
      code: 0,
      framing: 'lines',
      passed: (bytes) => [ofServer(passedLine(ofClient(bytes)))],
      isExchange: true,
      mayGiveUp: true,
      isAnsweredHere: (bytes) => /"method":"(?:ping|server\/discover)"/.test(bytes.toString('latin1')),
      received: [...received.values()].flat().map((line) => Buffer.from(ofServer(line.toString('latin1')), 'latin1')),
      answers,
      entries: store.entries(),
    };
  } finally {
    agent.destroy();
    await bridge.close();
    rmSync(folder, { recursive: true });
  }
}

const OF_CLIENT: readonly (readonly [RegExp, string])[] = [
  [/"(free|fr\\u0065e|denied|t)"/g, '"s__$1"'],
  [/"read"/g, '"t__read"'],
  [/"file:\/\/\/a"/g, '"countersign:t:file:///a"'],
  // A repeated key anywhere is refused here: which server is meant hangs on keys.
  [/,"y":\{"b":1,"b":2\}/g, ''],
];

/** With names that say whose they are, where what is bent still has them. */
function ofClient(bytes: Buffer): Buffer {
  return Buffer.from(
    OF_CLIENT.reduce((text, [pattern, into]) => text.replace(pattern, into), bytes.toString('latin1')),
    'latin1',
  );
}

/** With the servers' own names in every place of such a name. */
function ofServer(text: string): string {
  return text.replace(/"(?:[^"\\]|\\.)*"/g, (token) => {
    try {
      const value = JSON.parse(Buffer.from(token, 'latin1').toString('utf8')) as string;
      const own = /^(?:[st]__|countersign:[st]:)([^]*)$/.exec(value)?.[1];
      return own === undefined ? token : Buffer.from(JSON.stringify(own)).toString('latin1');
    } catch {
      return token;
    }
  });
}

/** What a gateway says to its servers by itself: who it is, what it lists, what it listens to, and that a client hung up. */
function isOwn(line: Buffer): boolean {
  const text = line.toString('utf8');
  return (
    text.startsWith('{"jsonrpc":"2.0","id":"countersign-gateway/') ||
    /^\{"jsonrpc":"2\.0","method":"notifications\/(?:initialized"|cancelled","params":\{"requestId":"countersign-\d+"\})/.test(text) ||
    text.includes('"method":"subscriptions/listen"')
  );
}

/** No server gets a call that was allowed at the other. */
function mustBeItsOwn(server: string, lines: readonly Buffer[], entries: readonly Entry[]): void {
  const allowed = entries.filter((entry) => entry.kind === 'decision' && entry.effect === 'allow' && entry.tool.server === server).length;
  const calls = lines.filter((line) => isCall(line.toString('latin1'))).length;
  if (calls > allowed) throw new Error(`${calls} calls reached server ${server}, of which ${allowed} were allowed`);
}
