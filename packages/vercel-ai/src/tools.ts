/** The enforcing point: `execute` asks the guard, whatever approval the message history claims to hold. */
import { CallRefusedError, CountersignError, type Guard, type Pending, type Permit, type ToolCall } from '@countersign/core';
import { asSchema, type FlexibleSchema, type ToolExecutionOptions } from 'ai';
import { toolCallOf } from './call.ts';
import type { GuardToolsOptions } from './options.ts';
import { runPermitted, streamPermitted } from './run.ts';

type Execute = (input: unknown, options: ToolExecutionOptions<unknown>) => unknown;

interface Mark {
  readonly guard: Guard;
  readonly options: GuardToolsOptions;
  /** Parses arguments as the SDK does before it calls `execute`. */
  readonly validate: (args: unknown) => Promise<unknown>;
}

/** By function, not by tool: a copy of a guarded tool is guarded, one with another `execute` is not. */
const GUARDED = new WeakMap<object, Mark>();

/** How `tool` asks `guard`; undefined when running it would not. */
export function guardedBy(tool: unknown, guard: Guard): Pick<Mark, 'options' | 'validate'> | undefined {
  const execute = executeOf(tool);
  const mark = execute === undefined ? undefined : GUARDED.get(execute);
  return mark?.guard === guard ? mark : undefined;
}

/**
 * Undefined for a tool that runs elsewhere. A tool may be a function with properties: the SDK looks at nothing but `execute`.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for an `execute` that is neither undefined nor a function
 */
export function executeOf(tool: unknown): Execute | undefined {
  if ((typeof tool !== 'object' && typeof tool !== 'function') || tool === null) return undefined;
  const execute: unknown = Reflect.get(tool, 'execute');
  if (execute === undefined) return undefined;
  if (typeof execute !== 'function') {
    throw new CountersignError(
      'OPTIONS_INVALID',
      'execute of a tool is neither undefined nor a function; give it a function, or leave it out',
    );
  }
  return execute as Execute;
}

/**
 * The same tools, asking the guard before every run. A call that may not run throws in `execute`, which the SDK turns
 * into a `tool-error` the model can read. Tools without `execute` run elsewhere and are passed through unguarded.
 * Of a tool that is a function with an `execute`, the guarded one is no longer callable: nothing would ask the guard there.
 *
 * @param tools - by name, as for `generateText`. Not typed `ToolSet`, which turns away tools under `exactOptionalPropertyTypes`.
 * @throws {CountersignError} `OPTIONS_INVALID` for a tool whose `execute` is neither undefined nor a function
 * @throws {CallRefusedError} from `execute`: code `CALL_REFUSED`
 */
export function guardTools<T extends Readonly<Record<string, object>>>(guard: Guard, tools: T, options: GuardToolsOptions = {}): T {
  const entries = Object.entries(tools).map(([name, tool]): [string, unknown] => {
    const inner = executeOf(tool);
    if (inner === undefined || GUARDED.get(inner)?.guard === guard) return [name, tool];
    const validate = validatorOf(tool);
    const execute = guardExecute(name, (input, given) => Reflect.apply(inner, tool, [input, given]), {
      guard,
      options,
      validate,
      streams: Object.prototype.toString.call(inner) === '[object AsyncGeneratorFunction]',
    });
    GUARDED.set(execute, { guard, options, validate });
    // Descriptors, not a spread: the SDK keeps some marks of its own non-enumerable.
    const copy: unknown = Object.create(Object.getPrototypeOf(tool) as object | null, {
      ...Object.getOwnPropertyDescriptors(tool),
      execute: { value: execute, enumerable: true, writable: true, configurable: true },
    });
    return [name, copy];
  });
  // Same names, and each tool differs in `execute` alone, whose signature stays.
  return Object.fromEntries(entries) as T;
}

/** A generator stays one: for any other function the SDK would report a preliminary result that never was. */
function guardExecute(name: string, inner: Execute, how: Mark & { readonly streams: boolean }): Execute {
  const { guard, options, validate, streams } = how;
  const admitted = (input: unknown, given: ToolExecutionOptions<unknown>): Promise<Permit> => {
    const { toolCallId, context, abortSignal } = given;
    return admit(guard, toolCallOf({ toolName: name, toolCallId, input, context }, options), { options, validate }, abortSignal);
  };
  if (streams) {
    return async function* (input, given) {
      const permit = await admitted(input, given);
      yield* streamPermitted(permit, () => inner(permit.args, given), given.abortSignal);
    };
  }
  return async (input, given) => {
    const permit = await admitted(input, given);
    return runPermitted(permit, () => inner(permit.args, given), given.abortSignal);
  };
}

async function admit(
  guard: Guard,
  call: ToolCall,
  { options, validate }: Pick<Mark, 'options' | 'validate'>,
  signal: AbortSignal | undefined,
): Promise<Permit> {
  const authorization = await guard.authorize(call, {
    approval: options.approval ?? 'suspend',
    validate,
    ...(signal !== undefined && { signal }),
  });
  switch (authorization.kind) {
    case 'permit':
      return authorization;
    case 'refusal':
      throw new CallRefusedError(authorization);
    case 'pending':
      throw new CallRefusedError(notYet(authorization));
  }
}

/** For arguments that a person edited: the SDK parses only what the model wrote. */
function validatorOf(tool: object): Mark['validate'] {
  return async (args) => {
    const schema: unknown = Reflect.get(tool, 'inputSchema');
    if (schema === undefined) return args;
    // What the SDK takes for a schema is what it made the tool with.
    const { validate } = asSchema(schema as FlexibleSchema<unknown>);
    const parsed = await validate?.(args);
    if (parsed?.success === false) throw parsed.error;
    return parsed === undefined ? args : parsed.value;
  };
}

function notYet(pending: Pending): ConstructorParameters<typeof CallRefusedError>[0] {
  const { reason } = pending.decision;
  const waits = `it has not run and waits for approval ${pending.approvalId}`;
  return {
    kind: 'refusal',
    callId: pending.callId,
    decision: { ...pending.decision, reason: reason === undefined ? waits : `${reason}; ${waits}` },
  };
}
