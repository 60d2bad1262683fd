/** Telling the application what becomes of its approvals. Nobody waits for it, and nothing it does changes anything. */
import { outsideCalls } from '../scope.ts';
import type { ApprovalRow } from '../store-rows.ts';
import { type ApprovalEvent, eventsSince, JUST_ASKED, type Told, toldOf } from './events.ts';

export interface NoticesDeps {
  readonly notify: ((event: ApprovalEvent) => void | Promise<void>) | undefined;
  readonly approval: (id: string) => Promise<ApprovalRow | undefined>;
  readonly report: (error: unknown, context: { readonly callId?: string; readonly during: string }) => void;
  /** Keeps hold of what nobody awaits. */
  readonly track: (work: Promise<unknown>) => void;
}

/** Approvals it remembers having told of. Beyond that the oldest may be told of again. */
const MAX_TOLD = 10_000;

export class ApprovalNotices {
  private readonly deps: NoticesDeps;
  private readonly told = new Map<string, Told>();

  constructor(deps: NoticesDeps) {
    this.deps = deps;
  }

  /** An ask of this process. */
  asked(id: string): void {
    this.read(id, (row) => {
      this.remember(row.id, JUST_ASKED);
      this.send({ kind: 'asked', approval: { ...row, state: 'pending', answers: [] } });
      this.tell(row);
    });
  }

  /** Something may have become of it. */
  look(id: string): void {
    this.read(id, (row) => this.tell(row));
  }

  /** How it stands now. */
  tell(row: ApprovalRow): void {
    if (this.deps.notify === undefined) return;
    const told = this.told.get(row.id) ?? JUST_ASKED;
    const events = eventsSince(told, row);
    if (events.length === 0) return;
    this.remember(row.id, toldOf(row));
    for (const event of events) this.send(event);
  }

  private read(id: string, then: (row: ApprovalRow) => void): void {
    const { notify, approval, report, track } = this.deps;
    if (notify === undefined) return;
    const reading = Promise.resolve()
      .then(() => approval(id))
      .then((row) => row !== undefined && then(row))
      .catch((error: unknown) => report(error, { during: 'approvals.notify' }));
    track(reading);
  }

  private remember(id: string, told: Told): void {
    this.told.delete(id);
    this.told.set(id, told);
    for (const oldest of this.told.keys()) {
      if (this.told.size <= MAX_TOLD) return;
      this.told.delete(oldest);
    }
  }

  private send(event: ApprovalEvent): void {
    const { notify, report } = this.deps;
    // A copy of its own: what it does to it reaches nobody. Outside: it is no part of the call it is told of.
    outsideCalls(() => Promise.resolve().then(() => notify?.(structuredClone(event)))).catch((error: unknown) =>
      report(error, { callId: event.approval.call, during: 'approvals.notify' }),
    );
  }
}
