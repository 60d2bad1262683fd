/** What shuts a program in, below whatever watches it: which one it is, and how the program is started then. */
import { CountersignError } from '@countersign/core';
import type { Scope } from '../scope/scope.ts';
import { landlockSandbox } from './landlock-sandbox.ts';
import type { Sandbox, SandboxKind, SandboxName } from './sandbox-kind.ts';
import { srtSandbox } from './srt.ts';

export interface Containing {
  readonly by: SandboxName | 'auto';
  /** On a host that cannot: nothing is started, or the program is, and that is told. */
  readonly whenMissing: 'refuse' | 'without';
}

/** Plain data, for a log, a session and `doctor`. */
export interface Contained {
  readonly asked: SandboxName | 'auto';
  readonly by: SandboxName | 'off';
  /** What was not taken, and why. */
  readonly missing: readonly { readonly name: SandboxName; readonly why: string }[];
}

/** In the order that `auto` takes them in. */
export const SANDBOXES: readonly SandboxKind[] = [srtSandbox(), landlockSandbox()];

/**
 * Never falls back in silence: what was asked for and is not there is an error, or it is in what comes back.
 *
 * @throws {CountersignError} `MONITOR_UNAVAILABLE`
 */
export async function openSandbox(
  { by, whenMissing }: Containing,
  scope: Scope,
  kinds: readonly SandboxKind[] = SANDBOXES,
): Promise<{ readonly sandbox?: Sandbox; readonly contained: Contained }> {
  const missing: { name: SandboxName; why: string }[] = [];
  for (const kind of kinds.filter(({ name }) => by === 'auto' || by === name)) {
    const opened = await kind.open(scope);
    if (!('missing' in opened)) return { sandbox: opened, contained: { asked: by, by: kind.name, missing } };
    missing.push({ name: kind.name, why: opened.missing });
  }
  if (whenMissing === 'refuse') throw notThere(by, missing);
  return { contained: { asked: by, by: 'off', missing } };
}

/** What is said of a program that is started without what was asked for. */
export function notThere(by: Containing['by'], missing: Contained['missing']): CountersignError {
  const reasons = missing.map(({ name, why }) => `${name}: ${why}`).join('; ');
  return new CountersignError('MONITOR_UNAVAILABLE', `nothing can be contained here by ${by}: ${reasons}`);
}
