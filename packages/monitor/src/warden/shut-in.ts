/** How an agent is started that is shut in by a sandbox: what it becomes, what is told of it, and what is closed after it. */
import type { CountersignError } from '@countersign/core';
import { processTable } from '../contain/process-table.ts';
import type { LandlockRules } from '../kernel/landlock.ts';
import { type Containing, notThere, openSandbox, SANDBOXES } from '../sandbox/sandbox.ts';
import type { SandboxKind, SandboxName } from '../sandbox/sandbox-kind.ts';
import type { Unexpressed } from '../sandbox/unexpressed.ts';
import type { Scope } from '../scope/scope.ts';
import type { LaunchOptions } from './launch.ts';

export interface ShutIn {
  readonly launch: LaunchOptions & { readonly landlock?: LandlockRules };
  /** Absent: nothing here could, and that was let pass. */
  readonly by?: SandboxName;
  /** What `auto` did not take, and why. One line. */
  readonly passedOver?: string;
  /** Said of an agent that is started without what was asked for. */
  readonly error?: CountersignError;
  /** Children of ours that the sandbox is made with: none of the agent's, though its orphans come to us too. */
  readonly helpers: readonly number[];
  /** For people: one sentence each, without a full stop. */
  readonly notes: readonly string[];
  /** When nothing of it runs any more. */
  close(): Promise<void>;
}

export interface ShutInOptions {
  readonly contain: Containing;
  readonly scope: Scope;
  readonly workspace: string;
  readonly home: string;
  /** Countersign's own files that the agent has no business with. */
  readonly own: readonly string[];
  /** Its calls wait for the monitor. */
  readonly isHeld: boolean;
  /** What its Node programs load the probe from; they tell by a socket. Absent: no probe. */
  readonly probe?: readonly string[];
}

/**
 * sandbox-runtime is made of namespaces and mounts, and of helpers that change what the monitor may see of them: the filter of kernel
 * control refuses those to everybody in the tree, since nothing tells a sandbox that is being set up from a way out.
 */
export const NOT_BOTH = 'sandbox-runtime cannot be set up by a process whose calls wait for the monitor';

/** It may make no unix socket there, and its processes have other numbers inside. */
export const NO_CHANNEL = 'in sandbox-runtime the probe cannot tell what it saw';

/** @throws {CountersignError} `MONITOR_UNAVAILABLE` */
export async function shutIn(
  launch: LaunchOptions,
  { contain, scope, isHeld, probe = [], ...surroundings }: ShutInOptions,
  kinds: readonly SandboxKind[] = SANDBOXES,
): Promise<ShutIn> {
  const whyNot = isHeld ? NOT_BOTH : probe.length > 0 ? NO_CHANNEL : undefined;
  const fitting = whyNot === undefined ? kinds : kinds.map((kind) => (kind.name === 'srt' ? notHere(kind.name, whyNot) : kind));
  const { sandbox, contained } = await openSandbox(contain, scope, fitting);
  const passedOver = contained.missing.map(({ name, why }) => `${NAMES[name]}: ${why}`).join('; ');
  if (sandbox === undefined)
    return { launch, error: notThere(contain.by, contained.missing), helpers: [], notes: [], close: async () => {} };
  try {
    const { unexpressed, ...prepared } = await sandbox.prepare(launch, { ...surroundings, reads: probe });
    return {
      launch: { ...prepared, ...(launch.stdio !== undefined && { stdio: launch.stdio }) },
      by: sandbox.name,
      ...(passedOver !== '' && { passedOver }),
      helpers: processTable().children(process.pid),
      notes: [...notesOf(sandbox.name, unexpressed), UNDER_WATCH[sandbox.name]],
      close: () => sandbox.close(),
    };
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

function notHere(name: SandboxName, missing: string): SandboxKind {
  return { name, open: async () => ({ missing }) };
}

/** What it means for whoever watches. */
const UNDER_WATCH: Readonly<Record<SandboxName, string>> = {
  srt: "what it connects to is named to the sandbox's proxy alone: the monitor's rules see connections to this host",
  landlock: 'files are opened by the processes themselves, not for them: an open from outside would let in what landlock refuses',
};

const NAMES: Readonly<Record<SandboxName, string>> = { landlock: 'landlock', srt: 'sandbox-runtime' };
/** Of each reason; the rest is counted. */
const MAX_ITEMS = 5;

/** One for what is possible although the scope forbids it, one for what fails although it allows it. */
export function notesOf(by: SandboxName, unexpressed: readonly Unexpressed[]): readonly string[] {
  const ofKind = (is: Unexpressed['is'], begins: string): readonly string[] => {
    const texts = grouped(unexpressed.filter((each) => each.is === is));
    return texts.length === 0 ? [] : [`${begins}: ${texts.join('; ')}`];
  };
  return [
    ...ofKind('wider', `${NAMES[by]} does not hold it to`),
    ...ofKind('narrower', `${NAMES[by]} also keeps from it what the scope allows`),
  ];
}

/** Items that lack for the same reason, together. */
function grouped(unexpressed: readonly Unexpressed[]): readonly string[] {
  const groups = new Map<string, { readonly key: string; readonly why: string; readonly items: Set<string> }>();
  for (const { key, item, why } of unexpressed) {
    const name = JSON.stringify([key, why]);
    const group = groups.get(name) ?? { key, why, items: new Set() };
    if (item !== undefined) group.items.add(JSON.stringify(item));
    groups.set(name, group);
  }
  return [...groups.values()].map(({ key, why, items }) => {
    const rest = items.size - MAX_ITEMS;
    const shown = [...items].slice(0, MAX_ITEMS).join(', ');
    return `${key}${shown === '' ? '' : ` ${shown}`}${rest > 0 ? ` and ${rest} more` : ''} (${why})`;
  });
}
