/** What a session wrote that it should not have: the files a quarantine looks at when its tree was ended. */
import type { Action, Activity, Actor } from '../activity.ts';
import type { Verdict } from '../verdict.ts';

export interface WrittenFile {
  /** Absolute, links followed where a sensor saw that. */
  readonly path: string;
  /** It was there before the session; undefined: nobody saw. */
  readonly existed: boolean | undefined;
  /** Of the last write. */
  readonly at: number;
  readonly by?: Pick<Actor, 'pid' | 'start' | 'exe'>;
  readonly seq: number;
}

export const MAX_WRITTEN_FILES = 10_000;

export class WrittenFiles {
  readonly #files = new Map<string, WrittenFile>();
  #missed = 0;
  #deletions = 0;
  #connections = 0;

  /** Notes what a verdict above SAFE was given for. */
  note({ action, actor, at, seq, phase }: Activity, verdict: Verdict): void {
    // What was refused has not happened.
    if (verdict.level === 'SAFE' || phase === 'before') return;
    if (action.kind === 'delete') this.#deletions++;
    if (action.kind === 'connect') this.#connections++;
    const target = writtenBy(action);
    if (target === undefined) return;
    const { path } = target;
    const known = this.#files.get(path);
    if (known === undefined && this.#files.size >= MAX_WRITTEN_FILES) {
      this.#missed++;
      return;
    }
    // The first write says whether it was there before: at the second one it is there in any case.
    const existed = known === undefined ? target.existed : known.existed;
    const by = actor === undefined ? undefined : { pid: actor.pid, start: actor.start, ...(actor.exe !== undefined && { exe: actor.exe }) };
    this.#files.set(path, { path, existed, at, seq, ...(by !== undefined && { by }) });
  }

  /** In the order they were first written. */
  files(): readonly WrittenFile[] {
    return [...this.#files.values()];
  }

  get missed(): number {
    return this.#missed;
  }

  /** Deletions and connections that got a verdict above SAFE: nothing brings those back. */
  get irreversible(): { readonly deletions: number; readonly connections: number } {
    return { deletions: this.#deletions, connections: this.#connections };
  }
}

function writtenBy(action: Action): { readonly path: string; readonly existed: boolean | undefined } | undefined {
  if (action.kind === 'write') return { path: action.resolved ?? action.path, existed: action.existed };
  // Whether something was there before, and whose the content is, nobody saw.
  return action.kind === 'rename' ? { path: action.to, existed: undefined } : undefined;
}
