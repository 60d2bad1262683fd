/**
 * One of several threads that judge rows (`judge.ts`): ranges of positions that it is asked for, on its own snapshot.
 *
 * It answers each request with one message of bounded size, so that whoever asks decides how much lies about. What it finds wrong with
 * the file itself it throws: the thread that asks reads on alone, and reports it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openSource } from '../sqlite/source.ts';
import { judgeRows } from './judge.ts';
import { Packer } from './packed.ts';
import type { Range, ScanMessage, ScanRequest, ScanTask } from './scan-messages.ts';
import type { LedgerSource } from './source.ts';

/** Rows that travel as they are, in one message. */
const MAX_OTHERS = 256;
/** Their text, characters; the rows read at once may exceed it. What waits for whoever asks is a few parts a thread. */
const MAX_OTHER_CHARS = 4_194_304;

if (parentPort !== null) serve(parentPort, workerData as ScanTask);

/** What the thread needs of its end of the channel. */
export interface ScanPort {
  postMessage(message: ScanMessage, transfer: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (request: ScanRequest) => void): unknown;
  close(): void;
}

export function serve(port: ScanPort, { file }: ScanTask): void {
  const source = openSource(file);
  const packer = new Packer();
  port.postMessage({ kind: 'ready', ledgerId: source.ledgerId, size: source.size, note: source.newestCheckpoint()?.note }, []);
  port.on('message', (request) => {
    if (request === 'end') {
      source.close();
      port.close();
      return;
    }
    const part = partOf(source, request, packer);
    port.postMessage(part, [part.packed.numbers.buffer]);
  });
}

function partOf(source: LedgerSource, { from, to }: Range, packer: Packer): Extract<ScanMessage, { readonly kind: 'part' }> {
  let others = 0;
  let chars = 0;
  for (const chunk of source.chunks(from, to)) {
    const rows = judgeRows(chunk, source);
    packer.add(rows);
    for (let i = 0; i < rows.length; i++) {
      if (rows[i]?.content.is === 'plain') continue;
      others++;
      chars += chunk[i]?.body?.length ?? 0;
    }
    const last = chunk.at(-1);
    if (last !== undefined && (chars >= MAX_OTHER_CHARS || others >= MAX_OTHERS))
      return { kind: 'part', packed: packer.take(), next: last.seq + 1 };
  }
  return { kind: 'part', packed: packer.take(), next: to };
}
