/**
 * A shell that looks for a program along `PATH` goes on to the next folder when it may not run the one it found: dash does, after any
 * failure. A person who said no to `/usr/bin/curl` was asked about `/bin/curl` at once. So a no is also one to the same command of that very
 * process a moment later, from whatever folder.
 *
 * It refuses, and lets nothing happen: whoever is watched gains nothing by it. What is another command, or another process, is asked about.
 */
import type { Activity, ProcessId } from '../activity.ts';
import { baseOf } from '../rules/path-text.ts';
import type { Verdict } from '../verdict.ts';

/** From the answer on. Looking along `PATH` takes no time. */
export const MAX_DENIED_MS = 2_000;
export const MAX_DENIED = 64;

interface Denied {
  readonly exe: string;
  readonly argv: readonly string[];
  readonly rule: string;
  readonly untilMs: number;
}

export class DeniedExecs {
  readonly #denied = new Map<string, Denied>();

  /** A person said no to it, on a clock that only goes forward. */
  deny({ actor, action }: Activity, { rule }: Verdict, nowMs: number): void {
    // A name with a folder is not looked for.
    if (actor === undefined || action.kind !== 'exec' || action.argv[0] === undefined || action.argv[0].includes('/')) return;
    if (this.#denied.size >= MAX_DENIED) return;
    this.#denied.set(keyOf(actor), { exe: action.exe, argv: action.argv, rule, untilMs: nowMs + MAX_DENIED_MS });
  }

  /** Whether a person said no to this a moment ago. Whatever else that process would run ends it. @param seen - before it happens */
  covers({ actor, action }: Pick<Activity, 'actor' | 'action'>, { rule }: Verdict, nowMs: number): boolean {
    for (const [key, { untilMs }] of this.#denied) if (nowMs > untilMs) this.#denied.delete(key);
    if (actor === undefined || action.kind !== 'exec') return false;
    const denied = this.#denied.get(keyOf(actor));
    if (denied === undefined) return false;
    const { exe, argv } = denied;
    const isSame =
      denied.rule === rule &&
      (action.exe === exe || baseOf(action.exe) === argv[0]) &&
      argv.length === action.argv.length &&
      argv.every((word, index) => word === action.argv[index]);
    if (!isSame) this.#denied.delete(keyOf(actor));
    return isSame;
  }
}

function keyOf({ pid, start }: ProcessId): string {
  return `${pid}:${start}`;
}
