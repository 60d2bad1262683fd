/** Which tools run through `_call` alone, so that replacing `_call` leaves no other way to run them. */
import { DynamicStructuredTool, DynamicTool, StructuredTool, Tool } from '@langchain/core/tools';
import { type CoreMethods, chainOf, coreMethods } from './core-methods.ts';

/** `_call` is protected in LangChain's types; it receives what the schema made of the arguments. */
export type Call = (args: unknown, runManager: unknown, config: unknown) => unknown;

export interface Wrappable<T> {
  readonly inner: Call;
  /**
   * The tool with another `_call`, by delegation: identity, private fields and everything else stay the inner tool's.
   *
   * @param pins - what else it has in place of the inner tool's.
   */
  readonly wrap: (call: Call, pins?: PropertyDescriptorMap) => T;
}

/** The classes whose `invoke` and `call` end in `this._call` and nowhere else. */
const CORE: readonly object[] = [StructuredTool.prototype, Tool.prototype, DynamicTool.prototype, DynamicStructuredTool.prototype];

/**
 * Undefined for a tool whose `invoke` or `call` is not the one of LangChain: it may do its work there and never come to `_call`.
 * A tool of another installed copy of `@langchain/core` is such a tool, too.
 */
export function wrappable<T>(tool: T): Wrappable<T> | undefined {
  if (typeof tool !== 'object' || tool === null) return undefined;
  const run: unknown = Reflect.get(tool, '_call');
  const invoke: unknown = Reflect.get(tool, 'invoke');
  const call: unknown = Reflect.get(tool, 'call');
  if (typeof run !== 'function' || !isOfCore('invoke', invoke) || !isOfCore('call', call)) return undefined;
  return {
    inner: (...args) => Reflect.apply(run, tool, args) as unknown,
    // What was looked at is pinned: an `invoke` put on the inner tool later would go around `_call`.
    // Object.create is typed `any`; what it returns is `tool` but for `_call`.
    wrap: (outer, pins) =>
      Object.create(tool, { ...delegated(tool), ...pins, _call: { value: outer }, invoke: { value: invoke }, call: { value: call } }) as T,
  };
}

/** Every way to run a tool of LangChain's classes. */
export const WAYS_TO_RUN_TOOLS: CoreMethods = coreMethods(CORE);

function isOfCore(method: 'invoke' | 'call', value: unknown): boolean {
  return typeof value === 'function' && CORE.some((prototype) => Reflect.get(prototype, method) === value);
}

const ACCESSORS = new WeakMap<object, readonly string[]>();

/** Getters of a subclass may read its private fields, which only the inner tool has. */
function delegated(tool: object): PropertyDescriptorMap {
  const prototype: unknown = Object.getPrototypeOf(tool);
  if (typeof prototype !== 'object' || prototype === null || CORE.includes(prototype)) return {};
  let names = ACCESSORS.get(prototype);
  if (names === undefined) ACCESSORS.set(prototype, (names = accessorsOf(prototype)));
  return Object.fromEntries(
    names.map((name) => [
      name,
      { get: (): unknown => Reflect.get(tool, name), set: (value: unknown) => void Reflect.set(tool, name, value) },
    ]),
  );
}

function accessorsOf(prototype: object): readonly string[] {
  const own = chainOf(prototype).slice(
    0,
    chainOf(prototype).findIndex((each) => CORE.includes(each)),
  );
  return own.flatMap((each) =>
    Object.entries<PropertyDescriptor>(Object.getOwnPropertyDescriptors(each)).flatMap(([name, descriptor]) =>
      'value' in descriptor ? [] : [name],
    ),
  );
}
