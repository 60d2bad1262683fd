/**
 * One of several threads that judge rows (`judge.ts`), each its own ranges of positions on its own snapshot.
 *
 * It answers each request with one message, so that whoever asks decides how much lies about. What it finds wrong with
 * the file itself it throws: the thread that asks reads on alone, and reports it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { openSource } from '../sqlite/source.ts';
import { judgeRows } from './judge.ts';
import { Packer } from './packed.ts';
import type { ScanMessage, ScanTask } from './scan-messages.ts';
import type { LedgerSource } from './source.ts';

/** Rows that travel as they are, in one message. */
const MAX_OTHERS = 256;
/** Their text, characters; the rows read at once may exceed it. What waits for whoever asks is a few parts a thread. */
const MAX_OTHER_CHARS = 4_194_304;

if (parentPort !== null) serve(parentPort, workerData as ScanTask);

/** What the thread needs of its end of the channel. */
export interface ScanPort {
  postMessage(message: ScanMessage, transfer: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: () => void): unknown;
  close(): void;
}

export function serve(port: ScanPort, task: ScanTask): void {
  const source = openSource(task.file);
  const parts = partsOf(source, task);
  const post = (message: ScanMessage): void => port.postMessage(message, message.kind === 'part' ? [message.packed.numbers.buffer] : []);
  post({ kind: 'ready', ledgerId: source.ledgerId, size: source.size, note: source.newestCheckpoint()?.note });
  port.on('message', () => {
    const next = parts.next();
    if (!next.done) return post(next.value);
    source.close();
    post({ kind: 'end' });
    port.close();
  });
}

/** Ranges `index`, `index + of`, `index + 2 of` and so on. */
function* partsOf(
  source: LedgerSource,
  { index, of, from, size, rangeRows }: ScanTask,
): Generator<Extract<ScanMessage, { readonly kind: 'part' }>> {
  const mine = (position: number): number => {
    const range = Math.floor(position / rangeRows);
    return range + ((((index - range) % of) + of) % of);
  };
  for (let range = mine(from); range * rangeRows < size; ) {
    const end = Math.min((range + 1) * rangeRows, size);
    let packer = new Packer();
    let rows = 0;
    let chars = 0;
    for (const chunk of source.chunks(Math.max(from, range * rangeRows), end)) {
      let others = 0;
      for (const [i, row] of judgeRows(chunk, source).entries()) {
        packer.add(row);
        if (row.content.is === 'plain') continue;
        others++;
        chars += chunk[i]?.body?.length ?? 0;
      }
      rows += chunk.length;
      if (chars < MAX_OTHER_CHARS && (others === 0 || packer.rows < MAX_OTHERS)) continue;
      yield { kind: 'part', range, packed: packer.take() };
      packer = new Packer();
      chars = 0;
    }
    yield { kind: 'part', range, packed: packer.take() };
    // Positions may lie far apart: empty ranges are stepped over at once.
    if (rows > 0) range += of;
    else range = mine(Math.max(nextRow(source, end, size) ?? size, (range + 1) * rangeRows));
  }
}

function nextRow(source: LedgerSource, from: number, to: number): number | undefined {
  for (const [row] of source.chunks(from, to)) return row?.seq;
  return undefined;
}
