/** A batch of messages over stdio: the whole proxy, with a process behind it that writes down what reaches it. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { runStdioProxy } from '../../src/stdio.ts';
import { someAllowed } from './guard.ts';
import type { Sent } from './messages.ts';
import { linesOf, type Traffic } from './oracle.ts';

export const UPSTREAM: string = new URL('upstream.mjs', import.meta.url).pathname;

export async function overStdio(messages: readonly Sent[]): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-mcp-'));
  const file = join(folder, 'received');
  const { guard, store } = someAllowed();
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const answers: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => answers.push(chunk));
  stderr.resume();
  try {
    const running = runStdioProxy({
      command: process.execPath,
      args: [UPSTREAM, file],
      server: 's',
      guard: async () => guard,
      stdin,
      stdout,
      stderr,
    });
    for (const { bytes } of messages) if (!stdin.write(bytes)) await new Promise((resolve) => stdin.once('drain', resolve));
    stdin.end();
    const code = await running;
    await guard.close();
    return {
      code,
      framing: 'lines',
      passed: linesOf,
      isExchange: false,
      received: receivedIn(folder),
      answers: [Buffer.concat(answers)],
      entries: store.entries(),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The lines that reached any process of the server. */
export function receivedIn(folder: string, beginning = 'received.'): readonly Buffer[] {
  const files = readdirSync(folder).filter((name) => name.startsWith(beginning));
  return files.flatMap((name) => linesOf(readFileSync(join(folder, name))).map((line) => Buffer.from(line, 'latin1')));
}
