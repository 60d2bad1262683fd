import type {
  ApprovalAnswer,
  ApprovalRow,
  Approver,
  Authorization,
  AuthorizeOptions,
  DeclarationChanges,
  Guard,
  Offer,
  OfferedTool,
  ToolCall,
  ToolRef,
} from '@countersign/core';

/** The part of a guard a proxy uses. */
export type ProxyGuard = Pick<Guard, 'authorize' | 'offers' | 'recordRefusal'> & {
  readonly approvals: Pick<Guard['approvals'], 'get' | 'resolve' | 'settled'>;
  readonly pins: Pick<Guard['pins'], 'offer' | 'changes'>;
};

/** There is no answer, because the guard could not be opened or broke. A call does not run. */
export interface Unavailable {
  readonly kind: 'unavailable';
  readonly reasonCode: 'LEDGER_WRITE_FAILED_DECISION' | 'INTERNAL_ERROR';
  readonly text: string;
}

/**
 * Opens the guard at the first call, or the first list of tools, and not before: clients start a server once only to see what it is,
 * and a ledger opened for that would be a side effect. A guard that cannot be opened is tried again at the next one.
 */
export class GuardSource {
  readonly #open: () => Promise<ProxyGuard>;
  readonly #log: (text: string) => void;
  #opening: Promise<ProxyGuard> | undefined;
  #opened: ProxyGuard | undefined;

  constructor(open: () => Promise<ProxyGuard>, log: (text: string) => void) {
    this.#open = open;
    this.#log = log;
  }

  /** Never rejects: whatever breaks is a refusal. */
  authorize(call: ToolCall, options: AuthorizeOptions): Promise<Authorization | Unavailable> {
    return this.#ask((guard) => guard.authorize(call, options), 'a call could not be decided');
  }

  /** As `Guard.offers`. Never rejects. */
  async offers(tools: readonly ToolRef[]): Promise<readonly Offer[] | Unavailable> {
    return this.#ask((guard) => guard.offers(tools), 'what to offer could not be decided');
  }

  /** As `Guard.pins.offer`. Never rejects. */
  async pin(server: string, tools: readonly unknown[]): Promise<readonly OfferedTool[] | Unavailable> {
    return this.#ask(({ pins }) => pins.offer({ server, tools }), 'what is listed could not be put on record');
  }

  /** What changed of a tool; undefined when nobody can say. Never rejects. */
  async pinChanges(server: string, name: string): Promise<DeclarationChanges | undefined> {
    const changes = await this.#ask(({ pins }) => pins.changes({ server, name }), 'what changed of a tool could not be looked up');
    return changes === undefined || 'kind' in changes ? undefined : changes;
  }

  /** Never rejects: the message is refused whether or not this can be written. */
  async recordInvalid(tool: ToolRef, reason: string): Promise<void> {
    try {
      await (await this.#guard()).recordRefusal({ tool, reasonCode: 'MESSAGE_INVALID', reason });
    } catch (error) {
      this.#log(`a refused message could not be recorded: ${errorText(error)}`);
    }
  }

  async #ask<T>(question: (guard: ProxyGuard) => Promise<T>, failed: string): Promise<T | Unavailable> {
    let guard: ProxyGuard;
    try {
      guard = this.#opened ?? (await this.#guard());
    } catch (error) {
      this.#log(`the guard could not be opened: ${errorText(error)}`);
      return {
        kind: 'unavailable',
        reasonCode: 'LEDGER_WRITE_FAILED_DECISION',
        text: 'the decision could not be recorded; see the log of the proxy, then retry',
      };
    }
    try {
      return await question(guard);
    } catch (error) {
      this.#log(`${failed}: ${errorText(error)}`);
      return { kind: 'unavailable', reasonCode: 'INTERNAL_ERROR', text: 'the call could not be decided; see the log of the proxy' };
    }
  }

  /** Never rejects: an approval that cannot be read is asked about nowhere. */
  async approval(id: string): Promise<ApprovalRow | undefined> {
    return this.#about(id, async ({ approvals }) => approvals.get(id));
  }

  /** How the approval stands when it is settled or `signal` aborts. Never rejects. */
  async settled(id: string, signal: AbortSignal): Promise<ApprovalRow | undefined> {
    return this.#about(id, async ({ approvals }) => approvals.settled(id, { signal }));
  }

  /** Never rejects. @returns whether the answer was taken. */
  async answer(id: string, answer: ApprovalAnswer, approver: Approver): Promise<boolean> {
    return (await this.#about(id, async ({ approvals }) => approvals.resolve(id, answer, approver))) !== undefined;
  }

  async #about<T>(id: string, use: (guard: ProxyGuard) => Promise<T>): Promise<T | undefined> {
    try {
      return await use(await this.#guard());
    } catch (error) {
      this.#log(`approval ${id}: ${errorText(error)}`);
      return undefined;
    }
  }

  async #guard(): Promise<ProxyGuard> {
    // An opener may throw before it returns a promise.
    const opening = (this.#opening ??= Promise.resolve().then(this.#open));
    try {
      this.#opened = await opening;
      return this.#opened;
    } catch (error) {
      if (this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }
}

/** One line, bounded; errors of this project hold no arguments. */
function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\p{Cc}/gu, ' ').slice(0, 500);
}
