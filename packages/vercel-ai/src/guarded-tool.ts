/** One tool with an `execute` that asks the guard. What the SDK makes of the tool later must ask it too. */
import { CountersignError, type Guard } from '@countersign/core';
import { asSchema, type FlexibleSchema } from 'ai';
import { annotationsOf, isObject, member } from './call.ts';
import { EditNotices } from './edit-notices.ts';
import { type Asking, type Execute, guardExecute } from './execute.ts';
import type { GuardToolsOptions } from './options.ts';

/** By function, not by tool: a copy of a guarded tool is guarded, one with another `execute` is not. */
const GUARDED = new WeakMap<object, Asking>();

/** Likewise, of what code mode is bound by: it may have been made of a guarded tool, whose `execute` it then has. */
const GUARDED_CALLERS = new WeakMap<object, Guard>();

/** The SDK's own mark of `toolSearch()`, whose `execute` it replaces in every generation. */
const TOOL_SEARCH = Symbol.for('vercel.ai.toolSearch');

/** How `tool` asks `guard`; undefined when running it would not. */
export function guardedBy(tool: unknown, guard: Guard): Asking | undefined {
  const execute = executeOf(tool);
  const asking = execute === undefined ? undefined : GUARDED.get(execute);
  return asking?.guard === guard ? asking : undefined;
}

/**
 * Undefined for a tool that runs elsewhere. A tool may be a function with properties: the SDK looks at nothing but `execute`.
 *
 * @throws {CountersignError} `OPTIONS_INVALID` for an `execute` that is neither undefined nor a function
 */
export function executeOf(tool: unknown): Execute | undefined {
  const execute = member(tool, 'execute');
  if (execute === undefined) return undefined;
  if (typeof execute !== 'function') {
    throw new CountersignError(
      'OPTIONS_INVALID',
      'execute of a tool is neither undefined nor a function; give it a function, or leave it out',
    );
  }
  return execute as Execute;
}

/** @throws {CountersignError} `OPTIONS_INVALID` for a tool that cannot be guarded */
export function guardedTool(name: string, tool: object, guard: Guard, options: GuardToolsOptions): object {
  if (member(tool, TOOL_SEARCH) === true) {
    throw new CountersignError(
      'OPTIONS_INVALID',
      `tool ${JSON.stringify(name)}: the SDK binds toolSearch() anew in every generation, past any guard; pass a search tool of your own`,
    );
  }
  const inner = executeOf(tool);
  const replaced: PropertyDescriptorMap = {};
  const caller = member(tool, 'experimental_toolCaller');
  if (isLocalCaller(caller) && GUARDED_CALLERS.get(caller) !== guard) {
    replaced['experimental_toolCaller'] = { value: guardedCaller(name, caller, guard, options) };
  }
  const earlier = inner === undefined ? undefined : GUARDED.get(inner);
  if (earlier?.guard === guard) requireSameOptions(name, earlier.options, options);
  else if (inner !== undefined) {
    const notices = new EditNotices();
    const asking: Asking = { guard, options, validate: validatorOf(tool), annotations: annotationsOf(tool) };
    const execute = guardExecute(name, inner, tool, asking, notices);
    GUARDED.set(execute, asking);
    replaced['execute'] = own(execute);
    replaced['toModelOutput'] = own(notices.modelOutputOf(tool));
  }
  if (Object.keys(replaced).length === 0) return tool;
  // Descriptors, not a spread: the SDK keeps some marks of its own non-enumerable.
  return Object.create(Object.getPrototypeOf(tool) as object | null, {
    ...Object.getOwnPropertyDescriptors(tool),
    ...replaced,
  }) as object;
}

/** The tool keeps asking as it was told first, so a session named now would count for nothing. */
function requireSameOptions(name: string, first: GuardToolsOptions, now: GuardToolsOptions): void {
  const other = (['session', 'principal', 'server', 'approval'] as const).find(
    (option) => now[option] !== undefined && now[option] !== first[option],
  );
  if (other === undefined) return;
  throw new CountersignError(
    'OPTIONS_INVALID',
    `tool ${JSON.stringify(name)} asks this guard already, with another ${other}: pass the bare tool, or leave the options out`,
  );
}

interface LocalCaller {
  readonly type: 'local';
  readonly bind: (tools: unknown) => unknown;
}

function isLocalCaller(caller: unknown): caller is LocalCaller {
  return member(caller, 'type') === 'local' && typeof member(caller, 'bind') === 'function';
}

/** Code mode: in every generation the SDK runs not this tool but what `bind` makes of it. */
function guardedCaller(name: string, caller: LocalCaller, guard: Guard, options: GuardToolsOptions): LocalCaller {
  const guarded: LocalCaller = {
    ...caller,
    bind(tools) {
      const bound = caller.bind(tools);
      return isObject(bound) ? guardedTool(name, bound, guard, options) : bound;
    },
  };
  GUARDED_CALLERS.set(guarded, guard);
  return guarded;
}

/** For arguments that a person edited: the SDK parses only what the model wrote. */
function validatorOf(tool: object): Asking['validate'] {
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

function own(value: unknown): PropertyDescriptor {
  return { value, enumerable: true, writable: true, configurable: true };
}
