/** What makes a child process load the probe from where this one has it. */
import { fileURLToPath } from 'node:url';
import type { Inherited } from './child-environment.ts';

/** Run from its sources, the package is found under this condition only. */
const SOURCE_CONDITION = '@countersign/source';

export function childrenOf(handover: string, run?: string): Inherited {
  return {
    register: fileURLToPath(new URL('../../register.cjs', import.meta.url)),
    conditions: import.meta.url.endsWith('.ts') ? [SOURCE_CONDITION] : [],
    handover,
    ...(run !== undefined && { run }),
  };
}
