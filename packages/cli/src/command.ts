/** What a command is: a row of the table in `commands/index.ts`. */
import type { Io } from './io.ts';
import type { Output } from './output.ts';

export interface Option {
  readonly name: string;
  /** `switch` takes no value, `text` one, `texts` may be given more than once. */
  readonly kind: 'switch' | 'text' | 'texts';
  /** How help shows the value: `FILE`. */
  readonly value?: string;
  readonly about: string;
}

export interface Command {
  /** One or two words: `verify`, `approvals show`. */
  readonly name: string;
  /** One line, what it does. */
  readonly summary: string;
  /** `isList`: the last one, given any number of times. */
  readonly positionals: readonly { readonly name: string; readonly required: boolean; readonly isList?: true }[];
  readonly options: readonly Option[];
  /** Further paragraphs of its help. */
  readonly notes?: readonly string[];
  readonly example: string;
  /** Takes a whole command line after `--`. */
  readonly passthrough?: string;
  /** It checks by itself what stands there when nothing does. */
  readonly isPassthroughOptional?: boolean;
  /** Standard output carries a protocol: nothing of ours goes there, not even an error with `--json`. */
  readonly isProtocol?: boolean;
  run(invocation: Invocation): Promise<number>;
}

export interface Invocation {
  readonly io: Io;
  readonly output: Output;
  readonly flags: Flags;
  readonly positionals: readonly string[];
  /** What stood after `--`, for a command with `passthrough`. */
  readonly rest: readonly string[];
}

/** The options that were given. */
export class Flags {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  on(name: string): boolean {
    return this.#values.has(name);
  }

  text(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  texts(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** The same, as if this option had been given with this value. */
  with(name: string, value: string): Flags {
    return new Flags(new Map(this.#values).set(name, [value]));
  }
}

/** Options of every command. */
export const COMMON_OPTIONS: readonly Option[] = [
  { name: 'json', kind: 'switch', about: 'one JSON document on standard output' },
  { name: 'config', kind: 'text', value: 'FILE', about: 'configuration file; default countersign.yaml' },
  { name: 'help', kind: 'switch', about: 'show this text' },
];
