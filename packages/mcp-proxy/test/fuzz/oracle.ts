/** What must hold whatever a client sent. */
import type { Entry } from '@countersign/core';
import type { Sent } from './messages.ts';
import { toolsCalled } from './readers.ts';

/** What became of a batch. */
export interface Traffic {
  /** How the proxy ended. */
  readonly code: number;
  /** What reached the server, to the byte. */
  readonly received: Buffer;
  readonly answers: Buffer;
  readonly entries: readonly Entry[];
}

export interface Found {
  readonly problems: readonly string[];
  /** So that a proxy that forwards nothing, or everything, is seen for what it is. */
  readonly forwarded: number;
  readonly calls: number;
}

export function judge(sent: readonly Sent[], { code, received, answers, entries }: Traffic): Found {
  const problems: string[] = [];
  if (code !== 0) problems.push(`the proxy ended with code ${code}`);

  const decisions = entries.filter((entry) => entry.kind === 'decision');
  const allowed = decisions.filter((entry) => entry.effect === 'allow').map(({ tool }) => tool.name);
  for (const name of toolsCalled(received))
    if (!allowed.includes(name)) problems.push(`a call of ${JSON.stringify(name)} reached the server without a decision`);

  const lines = linesOf(received);
  const unused = countOf(sent.flatMap(({ bytes }) => linesOf(bytes)));
  for (const line of lines) {
    const left = unused.get(line) ?? 0;
    if (left === 0) problems.push(`bytes reached the server that nobody sent: ${excerpt(line)}`);
    unused.set(line, left - 1);
  }

  const calls = lines.filter((line) => isCall(line)).length;
  if (calls !== allowed.length) problems.push(`${calls} calls reached the server, and ${allowed.length} were allowed`);

  const arrived = new Set(lines);
  const answered = countOf(linesOf(answers).flatMap(idOf));
  for (const { bytes, clean } of sent) {
    if (clean === undefined) continue;
    if (!arrived.has(bytes.toString('latin1')))
      problems.push(`a message that is in order did not arrive: ${excerpt(bytes.toString('latin1'))}`);
    if (answered.get(clean) !== 1) problems.push(`${answered.get(clean) ?? 0} answers to ${clean}`);
  }
  return { problems, forwarded: lines.length, calls };
}

/** With their newlines, one character a byte. */
function linesOf(bytes: Buffer): readonly string[] {
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

function idOf(line: string): readonly string[] {
  const message = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as { readonly id?: unknown };
  return typeof message.id === 'string' ? [message.id] : [];
}

function excerpt(line: string): string {
  return JSON.stringify(line.slice(0, 300));
}
