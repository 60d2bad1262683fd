/** What a function is shown of a call: copies that cannot be changed, and notes of what it read. */
import type { Json } from '../call.ts';
import { captureArguments } from '../redact/arguments.ts';
import type { PolicyInput, ResultFacts, ResultInput } from './policy.ts';

/**
 * The input for somebody's function. The arguments in it are recorded, shown to people and run later, and other policies
 * decide on the very same: a function that changes what it was given must reach none of that.
 */
export function functionInput(input: PolicyInput): PolicyInput {
  const { tool, args, findings, session, lookups, atMs } = input;
  const copyOf = copier();
  return {
    ...input,
    get tool() {
      return copyOf(tool);
    },
    get args() {
      return copyOf(args);
    },
    get findings() {
      return copyOf(findings);
    },
    get session() {
      return copyOf(session);
    },
    // Whether a function reads the time shows only when it does.
    get atMs() {
      lookups?.readTime?.(atMs);
      return atMs;
    },
    raw: (pointer) => captureArguments(input.raw(pointer)).value,
  };
}

/** The same of a result. What is worked out of it when it is read is worked out only then. */
export function functionResultInput(input: ResultInput): ResultInput {
  const { result } = input;
  const copyOf = copier();
  const shown: ResultFacts = {
    isError: result.isError,
    get size() {
      return result.size;
    },
    get value() {
      return copyOf(result.value);
    },
    get text() {
      return result.text;
    },
    get secrets() {
      return copyOf(result.secrets);
    },
    get instructions() {
      return copyOf(result.instructions);
    },
    get ansi() {
      return copyOf(result.ansi);
    },
    get hidden() {
      return copyOf(result.hidden);
    },
  };
  // One object whose members are read when asked for: spreading it would read them all.
  return Object.defineProperty(functionInput(input), 'result', { value: shown, enumerable: true }) as ResultInput;
}

/** Copies when asked, each thing once: few functions look at everything, and arguments may be large. */
function copier(): <T>(data: T) => T {
  let copies: Map<object, Json> | undefined;
  return <T>(data: T): T => {
    if (typeof data !== 'object' || data === null) return data;
    copies ??= new Map();
    const copy = copies.get(data) ?? frozenCopy(data as Json);
    copies.set(data, copy);
    return copy as T;
  };
}

function frozenCopy(data: Json): Json {
  if (typeof data !== 'object' || data === null) return data;
  if (Array.isArray(data)) return Object.freeze(data.map(frozenCopy));
  const copy: Record<string, Json> = {};
  for (const [name, value] of Object.entries(data)) {
    const member = frozenCopy(value);
    // A member `__proto__` of JSON is a member, and assigning it would not make one.
    if (name === '__proto__') Object.defineProperty(copy, name, { value: member, enumerable: true });
    else copy[name] = member;
  }
  return Object.freeze(copy);
}
