/** The schema of the tool that the agents of the benches call: of the arguments in `calls.ts`. */
import { z } from 'zod';

export const ARGUMENTS = z.object({
  path: z.string(),
  columns: z.array(z.string()),
  limit: z.number(),
  filter: z.object({ currency: z.string(), minimum: z.number(), open: z.boolean() }),
  note: z.string(),
});
