/** The example of a waymark in `docs/formats/entry.md`: the ledger of `halts.ts`, and an entry that names the newest halt and pin. */
import type { EntryBody, EntryStamp } from '../../src/ledger/entry.ts';
import { WITH_HALTS } from './halts.ts';
import { appendTo, checkpointOf, context, type GoldenEntry } from './ledger.ts';
import { WITH_PINS } from './pins.ts';

const entries: GoldenEntry[] = [...WITH_HALTS];
const placed = (of: number): { readonly of: number; readonly leaf: string } => ({ of, leaf: WITH_HALTS[of]?.leaf ?? '' });
const body: EntryBody & Pick<EntryStamp, 'newest'> = {
  kind: 'session',
  ...context,
  event: 'labels',
  labels: ['untrusted'],
  newest: { halt: placed(WITH_HALTS.length - 1), pin: placed(WITH_PINS.length - 1) },
};
appendTo(entries)(body);

export const WITH_WAYMARKS: readonly GoldenEntry[] = entries;
export const CHECKPOINT_WITH_WAYMARKS: string = checkpointOf(entries);
