import type { Config, Outcome, Permit } from '@countersign/core';
import { type ApprovalOptions, SharedApprovals } from './approval/shared.ts';
import { GuardSource, type ProxyGuard } from './guard-source.ts';
import { HeldTasks, notFetched } from './held-tasks.ts';
import type { OwnTasks } from './http/task-owners.ts';
import { hiddenOf } from './listing.ts';
import { ListingWatch } from './listing-watch.ts';
import { ResultChecks } from './result-checks.ts';
import { ToolDirectory } from './tool-directory.ts';

export interface TargetOptions {
  /** Opens the guard; called at the first call, and again after a failure. */
  readonly guard: () => Promise<ProxyGuard>;
  /** Name of the server in our configuration, never what it calls itself. */
  readonly server: string;
  /** Takes one line for people. */
  readonly log: (text: string) => void;
  /** The `mcp:` block of the configuration; what is absent has its default. */
  readonly mcp?: Partial<Config['mcp']>;
  /** How people are asked through the client; default not at all. */
  readonly approvals?: ApprovalOptions;
  /** Of a server that is reached through other targets too; their clients need an `InterposerOptions.owner`. Default: its own. */
  readonly tasks?: HeldTasks;
  /** Of a server that cannot tell those clients apart: what this target's client may do with its tasks. Default: all. */
  readonly ownTasks?: OwnTasks;
  /** How often what lists show is looked at; default `LIST_CHECK_MS`. */
  readonly listCheckMs?: number;
}

/** One server as all its clients share it: what it declared, the tasks it runs, and the guard before it. */
export class Target {
  readonly server: string;
  readonly log: (text: string) => void;
  readonly guard: GuardSource;
  readonly tools: ToolDirectory;
  /** Whom to tell when a list would show other tools than it did. */
  readonly listing: ListingWatch;
  readonly tasks: HeldTasks;
  readonly ownTasks: OwnTasks | undefined;
  readonly results: ResultChecks;
  /** Tools of which every call would be refused are left out of lists. */
  readonly hidesTools: boolean;
  /** What is listed is put on record, and compared with what was trusted. */
  readonly pinsTools: boolean;
  /** What is done about calls of a tool that is not what was trusted, for people. */
  readonly onChange: string;
  readonly approvals: SharedApprovals;
  readonly #sharesTasks: boolean;

  constructor({ guard, server, log, mcp = {}, approvals = {}, tasks, ownTasks, listCheckMs }: TargetOptions) {
    this.server = server;
    this.log = log;
    this.guard = new GuardSource(guard, log);
    this.results = new ResultChecks(mcp, log);
    this.hidesTools = mcp.listing !== 'show';
    const pins = mcp.pins ?? 'deny';
    this.pinsTools = pins !== 'off';
    this.onChange = ON_CHANGE[pins];
    this.tools = new ToolDirectory(pins === 'deny' || pins === 'ask');
    this.listing = new ListingWatch({
      hiddenOf: async (names) => {
        const hidden = await hiddenOf(names, this);
        return 'kind' in hidden ? undefined : hidden;
      },
      ...(listCheckMs !== undefined && { checkMs: listCheckMs }),
    });
    this.tasks = tasks ?? heldTasks(log);
    this.ownTasks = ownTasks;
    this.#sharesTasks = tasks !== undefined;
    this.approvals = new SharedApprovals({ ...approvals, ...(mcp.holdMs !== undefined && { holdMs: mcp.holdMs }) }, (permit) =>
      settle(permit, { status: 'cancelled' }, log),
    );
  }

  /** The server is gone for whoever reached it through this target: its tasks bring nothing more, and those of others still may. */
  endTasks(owner: string): readonly Permit[] {
    return this.#sharesTasks ? this.tasks.takeAll(owner) : this.tasks.takeAll();
  }
}

/** The tasks of one server. */
export function heldTasks(log: TargetOptions['log']): HeldTasks {
  return new HeldTasks((permit) => settle(permit, notFetched(), log));
}

function settle(permit: Permit, outcome: Outcome, log: TargetOptions['log']): void {
  permit.settle(outcome).catch(() => log(`the outcome of call ${permit.callId} could not be recorded`));
}

const ON_CHANGE = {
  deny: 'calls of it are refused',
  ask: 'a person is asked about its calls',
  warn: 'its calls run all the same',
  off: 'its calls run',
} as const;
