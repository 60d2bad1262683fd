/** What must hold whatever a client sent. */
import type { Entry } from '@countersign/core';
import type { Framing } from '../../src/client-message.ts';
import type { Sent } from './messages.ts';
import { toolsCalled } from './readers.ts';

/** What became of a batch. */
export interface Traffic {
  /** How the proxy ended. */
  readonly code: number;
  /** What stood around a message when it reached the server. */
  readonly framing: Framing;
  /** What one message that was sent is when it is passed on, one character a byte; lines of a client may be several. */
  readonly passed: (bytes: Buffer) => readonly string[];
  /** The answers to each message came back beside it, in the order of the messages. */
  readonly isExchange: boolean;
  /** A call that was allowed may have been given up on its way: for want of a server, of a connection, or of one id in it. */
  readonly mayGiveUp?: boolean;
  /** A message that is in order, and that the proxy answers by itself. */
  readonly isAnsweredHere?: (bytes: Buffer) => boolean;
  /** What reached the server, to the byte: lines with their newlines, or bodies. */
  readonly received: readonly Buffer[];
  /** Lines; of bodies, what came back of each message, in their order, a line for each. */
  readonly answers: readonly Buffer[];
  readonly entries: readonly Entry[];
}

export interface Found {
  readonly problems: readonly string[];
  /** So that a proxy that forwards nothing, or everything, is seen for what it is. */
  readonly forwarded: number;
  readonly calls: number;
}

export function judge(sent: readonly Sent[], traffic: Traffic): Found {
  const { code, framing, passed, isExchange, mayGiveUp, isAnsweredHere, received, answers, entries } = traffic;
  const problems: string[] = [];
  if (code !== 0) problems.push(`the proxy ended with code ${code}`);

  const decisions = entries.filter((entry) => entry.kind === 'decision');
  const allowed = decisions.filter((entry) => entry.effect === 'allow').map(({ tool }) => tool.name);
  // Lines stand behind each other, and some readers see one message in two of them. Nobody reads two bodies as one.
  const texts = framing === 'lines' ? [Buffer.concat(received)] : received;
  for (const name of new Set(texts.flatMap((text) => [...toolsCalled(text, framing)])))
    if (!allowed.includes(name)) problems.push(`a call of ${JSON.stringify(name)} reached the server without a decision`);

  const arrived = received.map((bytes) => bytes.toString('latin1'));
  // What has to arrive comes first, where ids that we chose leave open which of two it was.
  const inOrder = [...sent].sort((a, b) => Number(a.clean === undefined) - Number(b.clean === undefined));
  const unused = countOf(inOrder.flatMap(({ bytes }) => passed(bytes)));
  const known = new Set<string>();
  for (const one of arrived) {
    const origin = originOf(one, unused);
    if (origin === undefined) problems.push(`bytes reached the server that nobody sent: ${excerpt(one)}`);
    else unused.set(origin, (unused.get(origin) ?? 0) - 1);
    if (origin !== undefined) known.add(origin);
  }

  const calls = arrived.filter((one) => isCall(one)).length;
  if (mayGiveUp === true ? calls > allowed.length : calls !== allowed.length)
    problems.push(`${calls} calls reached the server, and ${allowed.length} were allowed`);

  const answered = countOf(answers.flatMap(idsOf));
  for (const [i, { bytes, clean }] of sent.entries()) {
    if (clean === undefined) continue;
    if (isAnsweredHere?.(bytes) !== true && !passed(bytes).every((one) => known.has(one)))
      problems.push(`a message that is in order did not arrive: ${excerpt(bytes.toString('latin1'))}`);
    if (answered.get(clean) !== 1) problems.push(`${answered.get(clean) ?? 0} answers to ${clean}`);
    const own = answers[i];
    if (isExchange && !(own !== undefined && idsOf(own).includes(clean)))
      problems.push(`the answer to ${clean} did not come back on its own exchange`);
  }
  return { problems, forwarded: arrived.length, calls };
}

const OUR_ID = /"countersign-\d+"/;
const SCALAR = String.raw`(?:"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*)`;

/** What was sent and not yet found that is this: to the byte, but for ids and progress tokens that we chose. No client writes those. */
function originOf(one: string, unused: ReadonlyMap<string, number>): string | undefined {
  if (!OUR_ID.test(one)) return (unused.get(one) ?? 0) > 0 ? one : undefined;
  const parts = one.split(OUR_ID);
  const [first = '', last = ''] = [parts[0], parts.at(-1)];
  const pattern = new RegExp(`^${parts.map((part) => escaped(part)).join(SCALAR)}$`);
  for (const [text, left] of unused) if (left > 0 && text.startsWith(first) && text.endsWith(last) && pattern.test(text)) return text;
  return undefined;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

/** With their newlines, one character a byte. */
export function linesOf(bytes: Buffer): readonly string[] {
  return bytes.toString('latin1').match(/[^\n]*\n/g) ?? [];
}

function countOf(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

export function isCall(line: string): boolean {
  try {
    const message: unknown = JSON.parse(
      Buffer.from(line, 'latin1')
        .toString('utf8')
        .replace(/^\ufeff/, ''),
    );
    return typeof message === 'object' && message !== null && 'method' in message && message.method === 'tools/call';
  } catch {
    return false;
  }
}

function idsOf(answers: Buffer): readonly string[] {
  return answers
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap((line) => {
      const { id } = JSON.parse(line) as { readonly id?: unknown };
      return typeof id === 'string' ? [id] : [];
    });
}

function excerpt(line: string): string {
  return JSON.stringify(line.slice(0, 300));
}
