/** What a warden needs of a quarantine: it is told what was written, and takes it when the tree was ended. */
import type { Activity } from '../activity.ts';
import type { Verdict } from '../verdict.ts';
import type { Quarantine } from './quarantine.ts';
import type { RollbackResult } from './rollback.ts';
import { WrittenFiles } from './written-files.ts';

export interface SessionQuarantine {
  /** Every activity with its verdict, also those that are safe. Never throws. */
  see(activity: Activity, verdict: Verdict): void;
  take(incident: { readonly id: string; readonly session: string }): Promise<RollbackResult>;
}

export function sessionQuarantine(quarantine: Quarantine): SessionQuarantine {
  const written = new WrittenFiles();
  return {
    see: (activity, verdict) => written.note(activity, verdict),
    take: ({ id, session }) =>
      quarantine.take(written.files(), { incident: id, session, irreversible: written.irreversible, missed: written.missed }),
  };
}
