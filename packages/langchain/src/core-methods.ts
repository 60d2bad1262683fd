/** Whether an object runs as LangChain made it, or has a way of its own. */

/** What a subclass may have of its own, because no work is done there. */
const RUNS_NOTHING: ReadonlySet<string> = new Set([
  'constructor',
  '_call',
  '_addVersion',
  'getName',
  'getGraph',
  'toJSON',
  'toJSONNotImplemented',
]);

/** Names of methods, with what each may be. */
export type CoreMethods = ReadonlyMap<string, ReadonlySet<unknown>>;

/** The methods that objects of LangChain's own classes have. @param prototypes - of these classes. */
export function coreMethods(prototypes: readonly object[]): CoreMethods {
  const methods = new Map<string, Set<unknown>>();
  for (const name of new Set(prototypes.flatMap(chainOf).flatMap(methodNames))) {
    if (!RUNS_NOTHING.has(name)) methods.set(name, new Set(prototypes.map((prototype): unknown => Reflect.get(prototype, name))));
  }
  return methods;
}

/**
 * The object's methods, to pin on one that is kept for long: a `stream` put on the inner tool later would go around what asks. A
 * string names a method that is not LangChain's: a subclass may do its work there.
 */
export function waysToRun(of: object, methods: CoreMethods): PropertyDescriptorMap | string {
  const pins: Record<string, PropertyDescriptor> = {};
  for (const [name, known] of methods) {
    const value: unknown = Reflect.get(of, name);
    if (!known.has(value)) return name;
    pins[name] = { value };
  }
  return pins;
}

/** Without getters: what they run is not known. */
function methodNames(prototype: object): readonly string[] {
  const own = Object.entries<PropertyDescriptor>(Object.getOwnPropertyDescriptors(prototype));
  return own.flatMap(([name, { value }]) => (typeof value === 'function' ? [name] : []));
}

/** Up to, and without, `Object.prototype`. */
export function chainOf(start: object): readonly object[] {
  const chain: object[] = [];
  for (
    let each: unknown = start;
    typeof each === 'object' && each !== null && each !== Object.prototype;
    each = Object.getPrototypeOf(each)
  )
    chain.push(each);
  return chain;
}
