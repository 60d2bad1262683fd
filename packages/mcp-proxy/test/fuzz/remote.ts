/** A batch of messages over stdio to a server over HTTP that keeps the bodies it receives. */
import { PassThrough } from 'node:stream';
import { runRemoteProxy } from '../../src/stdio.ts';
import { someAllowed } from './guard.ts';
import { HttpUpstream } from './http-upstream.ts';
import type { Sent } from './messages.ts';
import { linesOf, type Traffic } from './oracle.ts';

export async function toHttp(messages: readonly Sent[]): Promise<Traffic> {
  return throughRemote(messages, await HttpUpstream.start(), 'auto');
}

export async function throughRemote(messages: readonly Sent[], upstream: HttpUpstream, transport: 'auto' | 'sse'): Promise<Traffic> {
  const { guard, store } = someAllowed();
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const answers: Buffer[] = [];
  stdout.on('data', (chunk: Buffer) => answers.push(chunk));
  stderr.resume();
  try {
    const running = runRemoteProxy({ url: upstream.url, transport, server: 's', guard: async () => guard, stdin, stdout, stderr });
    for (const { bytes } of messages) if (!stdin.write(bytes)) await new Promise((resolve) => stdin.once('drain', resolve));
    stdin.end();
    const code = await running;
    await guard.close();
    const common = { code, framing: 'bodies', passed, isExchange: false, mayGiveUp: true } as const;
    return { ...common, received: upstream.received, answers: [Buffer.concat(answers)], entries: store.entries() };
  } finally {
    await upstream.close();
  }
}

/** A line without what ends it, and without a mark before it. */
function passed(bytes: Buffer): readonly string[] {
  return linesOf(bytes).map((line) => line.replace(/[\r\n]+$/, '').replace(/^\xef\xbb\xbf/, ''));
}
