/** A batch of messages over stdio: the whole proxy, with a process behind it that writes down what reaches it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { createGuard, rulePolicy } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { runStdioProxy } from '../../src/stdio.ts';
import { ALLOWED } from './messages.ts';
import type { Traffic } from './oracle.ts';

const UPSTREAM = new URL('upstream.mjs', import.meta.url).pathname;

export async function overStdio(messages: readonly Buffer[]): Promise<Traffic> {
  const folder = mkdtempSync(join(tmpdir(), 'fuzz-mcp-'));
  const file = join(folder, 'received');
  writeFileSync(file, '');
  const store = memoryStore();
  const rules = [{ id: 'some', tools: ALLOWED.map((name) => `s/${name}`), effect: 'allow' as const }];
  const guard = createGuard({ agent: 'fuzz', session: 's', store, policy: rulePolicy({ id: 'p', default: 'deny', rules }) });
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
    for (const message of messages) if (!stdin.write(message)) await new Promise((resolve) => stdin.once('drain', resolve));
    stdin.end();
    const code = await running;
    await guard.close();
    return { code, received: readFileSync(file), answers: Buffer.concat(answers), entries: store.entries() };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
