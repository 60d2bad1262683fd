/** What processes may do, by the configuration. */
import type { Config } from '@countersign/core';
import { defaultScope, loadScope, type Scope } from '@countersign/monitor';

/** @throws {CountersignError} `SCOPE_INVALID` */
export function scopeOf({ scope }: Config, env: NodeJS.ProcessEnv): Scope {
  return scope === undefined ? defaultScope() : loadScope({ document: scope }, { env });
}
