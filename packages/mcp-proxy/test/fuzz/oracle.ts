/** What must hold whatever a client sent. */
import type { Entry } from '@countersign/core';
import type { Framing } from '../../src/client-message.ts';
import type { Sent } from './messages.ts';
import { toolsCalled } from './readers.ts';

/** What became of a batch. */
export interface Traffic {
  /** How the proxy ended. */
  readonly code: number;
  /** What stood around a message on its way from the client: then one message sent may be several lines. */
  readonly framing: Framing;
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

export function judge(sent: readonly Sent[], { code, framing, received, answers, entries }: Traffic): Found {
  const problems: string[] = [];
  if (code !== 0) problems.push(`the proxy ended with code ${code}`);

  const decisions = entries.filter((entry) => entry.kind === 'decision');
  const allowed = decisions.filter((entry) => entry.effect === 'allow').map(({ tool }) => tool.name);
  // Lines stand behind each other, and some readers see one message in two of them. Nobody reads two bodies as one.
  const texts = framing === 'lines' ? [Buffer.concat(received)] : received;
  for (const name of new Set(texts.flatMap((text) => [...toolsCalled(text, framing)])))
    if (!allowed.includes(name)) problems.push(`a call of ${JSON.stringify(name)} reached the server without a decision`);

  const arrived = received.map((bytes) => bytes.toString('latin1'));
  const unused = countOf(sent.flatMap(({ bytes }) => (framing === 'lines' ? linesOf(bytes) : [bytes.toString('latin1')])));
  for (const one of arrived) {
    const left = unused.get(one) ?? 0;
    if (left === 0) problems.push(`bytes reached the server that nobody sent: ${excerpt(one)}`);
    unused.set(one, left - 1);
  }

  const calls = arrived.filter((one) => isCall(one)).length;
  if (calls !== allowed.length) problems.push(`${calls} calls reached the server, and ${allowed.length} were allowed`);

  const known = new Set(arrived);
  const answered = countOf(answers.flatMap(idsOf));
  for (const [i, { bytes, clean }] of sent.entries()) {
    if (clean === undefined) continue;
    if (!known.has(bytes.toString('latin1')))
      problems.push(`a message that is in order did not arrive: ${excerpt(bytes.toString('latin1'))}`);
    if (answered.get(clean) !== 1) problems.push(`${answered.get(clean) ?? 0} answers to ${clean}`);
    const own = answers[i];
    if (framing === 'bodies' && !(own !== undefined && idsOf(own).includes(clean)))
      problems.push(`the answer to ${clean} did not come back on its own exchange`);
  }
  return { problems, forwarded: arrived.length, calls };
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

function isCall(line: string): boolean {
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
    .filter((line) => line !== '')
    .flatMap((line) => {
      const { id } = JSON.parse(line) as { readonly id?: unknown };
      return typeof id === 'string' ? [id] : [];
    });
}

function excerpt(line: string): string {
  return JSON.stringify(line.slice(0, 300));
}
