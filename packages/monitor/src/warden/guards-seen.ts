/** Who of the tree was taken for a guard: told once for each program, and all of them counted. */
import type { Actor } from '../activity.ts';
import type { GuardsSeen as Facts } from '../evidence/session-file.ts';

const MAX_KEPT = 100;
/** Remembered, so that none counts twice. Beyond it one may. */
const MAX_KNOWN = 10_000;

export class GuardsSeen {
  readonly #known = new Set<string>();
  readonly #programs = new Set<string>();
  readonly #first: Facts['first'][number][] = [];
  readonly #tell: (process: Actor) => void;
  #count = 0;

  /** @param tell - of the first process of each program, as far as programs are kept. */
  constructor(tell: (process: Actor) => void) {
    this.#tell = tell;
  }

  /** Absent: there was none. */
  facts(): { readonly guards?: Facts } {
    return this.#count === 0 ? {} : { guards: { count: this.#count, first: [...this.#first] } };
  }

  see(process: Actor): void {
    const { pid, start, exe } = process;
    const id = `${pid} ${start}`;
    if (this.#known.has(id)) return;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.add(id);
    this.#count++;
    if (this.#first.length < MAX_KEPT) this.#first.push({ pid, start, ...(exe !== undefined && { exe }) });
    if (this.#programs.has(exe ?? '') || this.#programs.size >= MAX_KEPT) return;
    this.#programs.add(exe ?? '');
    this.#tell(process);
  }
}
