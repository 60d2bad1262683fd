/**
 * What a process or thread that is started from here finds in its environment, whatever its starter took out: the preload, what
 * it is handed over, and the call it is started for.
 */

/** Stays the same for the whole life of an installation. */
export interface Inherited {
  /** Absolute path of `register.cjs`. */
  readonly register: string;
  /** Of Node, so that the preload finds its modules where this process found them. */
  readonly conditions: readonly string[];
  /** Where what is handed over lies, and its digest (`handover.ts`). */
  readonly handover: string;
  readonly run?: string;
}

export const RUN_VARIABLE = 'COUNTERSIGN_RUN';
export const CALL_VARIABLE = 'COUNTERSIGN_CALL';
export const HANDOVER_VARIABLE = 'COUNTERSIGN_PROBE';

type Environment = Readonly<Record<string, string | undefined>>;

export class ChildEnvironment {
  readonly #inherited: Inherited | undefined;
  readonly #call: () => string | undefined;

  /** @param inherited - absent: children are marked with their call and not watched from inside. */
  constructor(inherited: Inherited | undefined, call: () => string | undefined) {
    this.#inherited = inherited;
    this.#call = call;
  }

  /** Nothing would be put in now. */
  get isEmpty(): boolean {
    return this.#inherited === undefined && this.#call() === undefined;
  }

  /** @param pairs - `name=value`. */
  completePairs(pairs: readonly string[]): string[] {
    const set = this.#variables(valueOf(pairs, 'NODE_OPTIONS'));
    const kept = pairs.filter((pair) => !set.has(pair.slice(0, Math.max(0, pair.indexOf('=')))));
    return [...kept, ...[...set].flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))];
  }

  complete(environment: Environment): Record<string, string | undefined> {
    const completed: Record<string, string | undefined> = { __proto__: null as never };
    for (const name in environment) completed[name] = environment[name];
    for (const [name, value] of this.#variables(completed['NODE_OPTIONS'])) {
      if (value === undefined) delete completed[name];
      else completed[name] = value;
    }
    return completed;
  }

  /** Undefined: is taken out. A call that an environment names and that is not this one would be a lie. */
  #variables(nodeOptions: string | undefined): ReadonlyMap<string, string | undefined> {
    const set = new Map<string, string | undefined>([[CALL_VARIABLE, this.#call()]]);
    if (this.#inherited === undefined) return set;
    const { run, handover } = this.#inherited;
    if (run !== undefined) set.set(RUN_VARIABLE, run);
    set.set(HANDOVER_VARIABLE, handover);
    return set.set('NODE_OPTIONS', withPreload(nodeOptions, this.#inherited));
  }
}

/** Ours comes first: what else is preloaded finds the probe on. */
export function withPreload(nodeOptions: string | undefined, { register, conditions }: Pick<Inherited, 'register' | 'conditions'>): string {
  const ours = [...conditions.map((condition) => `--conditions=${quoted(condition)}`), `--require=${quoted(register)}`].join(' ');
  const given = (nodeOptions ?? '').replaceAll(ours, '').trim();
  return given === '' ? ours : `${ours} ${given}`;
}

/** NODE_OPTIONS splits at spaces outside of double quotes, in which a backslash takes the next character as it is. */
function quoted(text: string): string {
  return /[\s"\\]/.test(text) ? `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"` : text;
}

function valueOf(pairs: readonly string[], name: string): string | undefined {
  return pairs.findLast((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
}
