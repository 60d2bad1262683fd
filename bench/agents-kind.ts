/** What the agents of the benches have in common. */
import { z } from 'zod';
import type { Turn } from './pairs.ts';

export interface Agent {
  readonly turn: Turn;
  /** How often its tool ran. */
  ran(): number;
}

/** Schema of the tool that they call: of the arguments in `calls.ts`. */
export const ARGUMENTS = z.object({
  path: z.string(),
  columns: z.array(z.string()),
  limit: z.number(),
  filter: z.object({ currency: z.string(), minimum: z.number(), open: z.boolean() }),
  note: z.string(),
});
