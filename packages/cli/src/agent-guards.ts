/** One guard for each agent on one store, all of them under one policy, whichever is in force when an agent first asks. */
import type { AuditSink, Guard, GuardOptions, Policy, PolicyChange } from '@countersign/core';
import { composePolicies } from '@countersign/core';

export interface AgentGuardsOptions {
  readonly policy: Policy;
  /** Makes the guard of an agent. */
  readonly make: (agent: string, options: Pick<GuardOptions, 'policy' | 'audit'>) => Guard;
  /** Records what concerns no single agent: a policy that does not load. */
  readonly owner: string;
  /** Written to by all of them, closed with the last. */
  readonly audit: readonly AuditSink[];
}

export class AgentGuards implements Pick<Guard, 'setPolicy'> {
  readonly #options: AgentGuardsOptions;
  readonly #guards = new Map<string, Guard>();
  readonly #givenOut = new Set<string>();
  #policy: Policy;

  constructor(options: AgentGuardsOptions) {
    this.#options = options;
    this.#policy = options.policy;
  }

  /** For whoever closes it. */
  of(agent: string): Guard {
    this.#givenOut.add(agent);
    return this.#of(agent);
  }

  #of(agent: string): Guard {
    const known = this.#guards.get(agent);
    if (known !== undefined) return known;
    const audit = this.#options.audit.map(leftOpen);
    const guard = this.#options.make(agent, { policy: this.#policy, audit });
    this.#guards.set(agent, guard);
    return guard;
  }

  /**
   * As `Guard.setPolicy`, for all of them: each records that it changes. Where one cannot, its policy stays, and the error is
   * thrown; asked again, only what is left changes.
   */
  async setPolicy(given: Parameters<Guard['setPolicy']>[0]): Promise<PolicyChange> {
    const owner = this.#of(this.#options.owner);
    let next: Policy | undefined;
    const load = async (): Promise<Policy> => {
      const policies = typeof given === 'function' ? await given() : given;
      next = 'evaluate' in policies ? policies : composePolicies(policies);
      return next;
    };
    // What does not load is recorded there.
    const change = await owner.setPolicy(load);
    const wanted = next;
    if (wanted === undefined) return change;
    let changed = change.changed;
    // Also those that came while others changed: they were made under the old one.
    for (const guard of this.#guards.values()) if (guard !== owner) changed = (await guard.setPolicy(wanted)).changed || changed;
    this.#policy = wanted;
    return { ...change, changed };
  }

  /** Call it when the guards that were given out are closed. */
  async close(): Promise<void> {
    for (const [agent, guard] of this.#guards) if (!this.#givenOut.has(agent)) await guard.close();
    for (const sink of this.#options.audit) await sink.close();
  }
}

/** The first guard that closes must not take the file from the others. */
function leftOpen(sink: AuditSink): AuditSink {
  const { include, required, files } = sink;
  return {
    ...(include !== undefined && { include }),
    ...(required !== undefined && { required }),
    ...(files !== undefined && { files }),
    write: (record) => sink.write(record),
    close: () => {},
  };
}
