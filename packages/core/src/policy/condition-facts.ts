/** What conditions see of a call: the variables, worked out when they are read. */
import { ConditionFault, conditionMap, conditionValue } from './condition-value.ts';
import type { Evaluation } from './evaluation.ts';
import { createLookups, type Lookups } from './lookups.ts';
import type { PolicyInput, ResultFacts, ResultInput, SessionFacts } from './policy.ts';

/** What the conditions of one call see. Make one per call and share it between rules; nothing is computed before it is read. */
export class ConditionFacts implements Evaluation {
  readonly input: PolicyInput;
  #lookups: Lookups | undefined;
  #args: unknown;
  #plain: Variables | undefined;

  constructor(input: PolicyInput) {
    this.input = input;
  }

  get lookups(): Lookups {
    this.#lookups ??= this.input.lookups ?? createLookups();
    return this.#lookups;
  }

  /** The evaluator's variables, together with the raw arguments at these pointers. */
  variables(rawPointers: readonly string[]): object {
    if (rawPointers.length > 0) return new Variables(this.input, () => this.args(), rawPointers);
    this.#plain ??= new Variables(this.input, () => this.args(), rawPointers);
    return this.#plain;
  }

  /** @throws {ConditionFault} when the arguments cannot be shown to the evaluator. */
  args(): unknown {
    if (this.#args === undefined) this.#args = conditionValue(this.input.args);
    return this.#args;
  }
}

/** Read by the evaluator as `variables[name]` for declared names only. */
class Variables {
  readonly #input: PolicyInput;
  readonly #args: () => unknown;
  readonly #rawPointers: readonly string[];
  // A condition may read a variable once per item of a list.
  #annotations: unknown;
  #session: object | undefined;
  #findings: unknown;
  #raw: unknown;
  #result: unknown;

  constructor(input: PolicyInput, args: () => unknown, rawPointers: readonly string[]) {
    this.#input = input;
    this.#args = args;
    this.#rawPointers = rawPointers;
  }
  get tool(): string {
    return this.#input.tool.name;
  }
  get server(): string {
    return this.#input.tool.server ?? '';
  }
  get args(): unknown {
    return this.#args();
  }
  get annotations(): unknown {
    this.#annotations ??= conditionValue(this.#input.tool.annotations ?? {});
    return this.#annotations;
  }
  /** In whole units; a call that declares no cost has none to compare, which is a fault and not a zero. */
  get cost(): number {
    if (this.#input.cost === undefined) throw new ConditionFault('this call declares no cost');
    return this.#input.cost / 1_000_000;
  }
  get agent(): string {
    return this.#input.agent;
  }
  get principal(): string {
    return this.#input.principal ?? '';
  }
  get session(): object {
    this.#session ??= sessionValue(this.#input.session);
    return this.#session;
  }
  get time(): Date {
    this.#input.lookups?.readTime?.(this.#input.atMs);
    return new Date(this.#input.atMs);
  }
  get mode(): string {
    return this.#input.mode;
  }
  get findings(): unknown {
    this.#findings ??= conditionValue(this.#input.findings);
    return this.#findings;
  }
  get raw(): unknown {
    this.#raw ??= rawValue(this.#input, this.#rawPointers);
    return this.#raw;
  }
  /** Declared for rules on results only, whose input it is. */
  get result(): unknown {
    this.#result ??= resultValue((this.#input as ResultInput).result);
    return this.#result;
  }
}

/** Own getters, so that nothing is looked for which no rule asks about. */
function resultValue(facts: ResultFacts): object {
  let value: unknown;
  return {
    size: facts.size,
    is_error: facts.isError,
    get value() {
      value ??= conditionValue(facts.value);
      return value;
    },
    get text() {
      return facts.text;
    },
    get secrets() {
      return [...facts.secrets];
    },
    get instructions() {
      return [...facts.instructions];
    },
    get ansi() {
      return [...facts.ansi];
    },
    get hidden() {
      return [...facts.hidden];
    },
  };
}

function sessionValue({ id, labels, startedAtMs }: SessionFacts): object {
  return { id, labels: [...labels], started: new Date(startedAtMs) };
}

function rawValue(input: PolicyInput, pointers: readonly string[]): unknown {
  const pairs: [string, unknown][] = [];
  for (const pointer of pointers) {
    const value = input.raw(pointer);
    if (value !== undefined) pairs.push([pointer, value]);
  }
  return conditionMap(pairs);
}
