/**
 * Cedar itself: WebAssembly of the optional package `@cedar-policy/cedar-wasm`, loaded when the first policy needs it.
 *
 * A trap (the stack, the memory) leaves an instance in a state in which nothing it says can be trusted. It is thrown away,
 * and policies are given to the next one.
 */
import { createRequire } from 'node:module';
import type * as CedarWasm from '@cedar-policy/cedar-wasm/nodejs';
import { CountersignError } from '../errors.ts';

/** What is used of Cedar. */
export type Cedar = Pick<
  typeof CedarWasm,
  | 'checkParseEntities'
  | 'checkParseSchema'
  | 'getCedarLangVersion'
  | 'policySetTextToParts'
  | 'policyToJson'
  | 'preparsePolicySet'
  | 'statefulIsAuthorized'
  | 'validate'
>;

export interface CedarEngine {
  /**
   * Runs something with an instance that never trapped.
   *
   * @param use - `instance` is another number for another instance: what was prepared in one is not in the next.
   * @throws what `use` throws.
   */
  run<T>(use: (cedar: Cedar, instance: number) => T): T;
}

const PACKAGE = '@cedar-policy/cedar-wasm/nodejs';
/** Each costs 100 ms and some megabytes. Whoever makes it trap so often is answered with denials. */
const MAX_INSTANCES = 16;

let shared: CedarEngine | undefined;

/** One per process: instances are large, and remember policies by name. */
export function sharedEngine(): CedarEngine {
  shared ??= cedarEngine(loadPackage);
  return shared;
}

/** @param load - gives a new instance. */
export function cedarEngine(load: () => Cedar): CedarEngine {
  let current: Cedar | undefined;
  let instances = 0;
  return {
    run(use) {
      if (current === undefined) {
        if (instances >= MAX_INSTANCES) throw new CountersignError('OPTIONS_INVALID', 'cedar trapped too often in this process');
        current = load();
        instances++;
      }
      try {
        return use(current, instances);
      } catch (error) {
        if (isTrap(error)) current = undefined;
        throw error;
      }
    },
  };
}

/** What Cedar refuses it throws as a plain error, and goes on. */
function isTrap(error: unknown): boolean {
  return error instanceof RangeError || (error instanceof Error && error.name === 'RuntimeError');
}

function loadPackage(): Cedar {
  const require = createRequire(import.meta.url);
  let path: string;
  try {
    path = require.resolve(PACKAGE);
  } catch (cause) {
    throw new CountersignError(
      'OPTIONS_INVALID',
      'cedar policies need the package @cedar-policy/cedar-wasm: npm install @cedar-policy/cedar-wasm',
      {
        cause,
      },
    );
  }
  // A module is loaded once. Ours is nobody else's: what somebody does to theirs must not reach ours, and one that trapped
  // must not come back.
  const theirs = require.cache[path];
  delete require.cache[path];
  const ours = require(path) as Cedar;
  if (theirs === undefined) delete require.cache[path];
  else require.cache[path] = theirs;
  return ours;
}
