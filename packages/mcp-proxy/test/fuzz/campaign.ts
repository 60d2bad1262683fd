import { message, type Sent } from './messages.ts';
import { judge, type Traffic } from './oracle.ts';
import { Random } from './random.ts';

/** A batch that takes longer hangs. */
const BATCH_LIMIT_MS = 120_000;

/** Sends messages through a proxy, and tells what became of them. */
export type Drive = (messages: readonly Sent[]) => Promise<Traffic>;

export interface Campaign {
  readonly seed: number;
  readonly count: number;
  /** Messages of one client. */
  readonly batch: number;
  readonly drive: Drive;
  /** Called after each batch, with how many messages were sent so far. */
  readonly onBatch?: (sent: number) => void;
}

export interface Report {
  readonly sent: number;
  readonly clean: number;
  readonly forwarded: number;
  readonly calls: number;
  readonly refused: number;
  /** Each with the seed of its batch. */
  readonly problems: readonly string[];
}

/** Sends so many messages, of which nine of ten are bent out of shape, and looks at what became of them. */
export async function run({ seed, count, batch, drive, onBatch }: Campaign): Promise<Report> {
  const report = { sent: 0, clean: 0, forwarded: 0, calls: 0, refused: 0, problems: [] as string[] };
  for (let start = 0; start < count; start += batch) {
    const random = new Random(seed + start);
    const sent: Sent[] = Array.from({ length: Math.min(batch, count - start) }, (_, i) => message(i + 2, random));
    try {
      const traffic = await inTime(drive(sent));
      const found = judge(sent, traffic);
      report.forwarded += found.forwarded;
      report.calls += found.calls;
      report.refused += traffic.entries.filter((entry) => entry.kind === 'decision' && entry.effect === 'deny').length;
      report.problems.push(...found.problems.map((problem) => `seed ${seed + start}: ${problem}`));
    } catch (error) {
      report.problems.push(`seed ${seed + start}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    }
    report.sent += sent.length;
    report.clean += sent.filter(({ clean }) => clean !== undefined).length;
    onBatch?.(report.sent);
  }
  return report;
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${BATCH_LIMIT_MS} ms`)), BATCH_LIMIT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
