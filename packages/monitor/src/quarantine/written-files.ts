/** What a session wrote that it should not have: the files a quarantine looks at when its tree was ended. */
import type { Action, Activity, Actor } from '../activity.ts';
import type { Verdict } from '../verdict.ts';

export interface WrittenFile {
  /** Absolute, links followed where a sensor saw that. */
  readonly path: string;
  /** It was there before the session. Undefined: nobody saw; when it was born can tell. */
  readonly existed: boolean | undefined;
  /** It came there under another name: whose the content is, and what it lies over, nobody saw. */
  readonly renamed?: true;
  /** Of the last write. */
  readonly at: number;
  readonly by?: Pick<Actor, 'pid' | 'start' | 'exe'>;
  readonly seq: number;
}

export const MAX_WRITTEN_FILES = 10_000;

/** Rules about where something was written. What else is said of a write, such as too many of them, is not about its file. */
export const PLACE_RULES: ReadonlySet<string> = new Set([
  'write-outside',
  'outside-scope',
  'forbidden-path',
  'forbidden-extension',
  'persistence',
  'preload',
  'client-config',
  'ssh-keys',
]);

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
    if (!PLACE_RULES.has(verdict.rule)) return;
    const known = this.#files.get(path);
    if (known === undefined && this.#files.size >= MAX_WRITTEN_FILES) {
      this.#missed++;
      return;
    }
    // The first write says whether it was there before: at the second one it is there in any case.
    const existed = known === undefined ? target.existed : known.existed;
    const by = actor === undefined ? undefined : { pid: actor.pid, start: actor.start, ...(actor.exe !== undefined && { exe: actor.exe }) };
    const renamed = target.renamed === true || known?.renamed === true;
    this.#files.set(path, { path, existed, at, seq, ...(renamed && { renamed }), ...(by !== undefined && { by }) });
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

function writtenBy(action: Action): Pick<WrittenFile, 'path' | 'existed' | 'renamed'> | undefined {
  if (action.kind === 'write') return { path: action.resolved ?? action.path, existed: action.existed };
  return action.kind === 'rename' ? { path: action.resolved_to ?? action.to, existed: undefined, renamed: true } : undefined;
}
