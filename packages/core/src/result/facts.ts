/** What rules see of a result. Everything is worked out when it is asked for, and once. */
import type { Json, RedactionFinding } from '../call.ts';
import { findAnsi } from '../detect/ansi.ts';
import { findHidden } from '../detect/hidden.ts';
import { findInstructions } from '../detect/instructions.ts';
import type { ResultFacts } from '../policy/policy.ts';
import type { Redacted, Redactor } from '../redact/redact.ts';
import { readError, readResult } from './read.ts';
import { textsOf } from './texts.ts';

export interface Given {
  /** What was returned, or thrown. */
  readonly value: unknown;
  readonly isError: boolean;
}

export class ReadFacts implements ResultFacts {
  readonly isError: boolean;
  readonly #given: Given;
  readonly #redactor: Pick<Redactor, 'redact'>;
  #plain: { readonly value: Json } | { readonly error: unknown } | undefined;
  #redacted: Redacted | undefined;
  #everything: string | undefined;
  readonly #found = new Map<(text: string) => readonly string[], readonly string[]>();

  constructor(given: Given, redactor: Pick<Redactor, 'redact'>) {
    this.#given = given;
    this.isError = given.isError;
    this.#redactor = redactor;
  }

  /** As it came, secrets and all: never for a condition. @throws {ConditionFault} */
  get plain(): Json {
    this.#plain ??= read(this.#given);
    if ('error' in this.#plain) throw this.#plain.error;
    return this.#plain.value;
  }
  get size(): number {
    const { value } = this.#given;
    if (typeof value === 'string') return value.length;
    try {
      return typeof this.plain === 'string' ? this.plain.length : JSON.stringify(this.plain).length;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  }
  get value(): Json {
    return this.#shown.shown;
  }
  get text(): string {
    return textsOf(this.value, false);
  }
  get secrets(): readonly string[] {
    return kinds(this.#shown.findings);
  }
  get instructions(): readonly string[] {
    return this.#find(findInstructions);
  }
  get ansi(): readonly string[] {
    return this.#find(findAnsi);
  }
  get hidden(): readonly string[] {
    return this.#find(findHidden);
  }

  get #shown(): Redacted {
    this.#redacted ??= this.#redactor.redact(this.plain);
    return this.#redacted;
  }

  /** In what came, not in what is shown: nothing may hide behind a placeholder. */
  #find(detector: (text: string) => readonly string[]): readonly string[] {
    let found = this.#found.get(detector);
    if (found === undefined) {
      this.#everything ??= textsOf(this.plain, true);
      found = detector(this.#everything);
      this.#found.set(detector, found);
    }
    return found;
  }
}

function read({ value, isError }: Given): { readonly value: Json } | { readonly error: unknown } {
  try {
    return { value: isError ? readError(value) : readResult(value) };
  } catch (error) {
    return { error };
  }
}

function kinds(findings: readonly RedactionFinding[]): readonly string[] {
  return [...new Set(findings.map(({ kind }) => kind))].toSorted();
}
