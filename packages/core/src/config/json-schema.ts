/** JSON Schema of `countersign.yaml`, for editors. */
import * as z from 'zod';
import { configSchema } from './schema.ts';

/** Draft 2020-12. Conditions, durations and references between blocks are checked by `parseConfig` only. */
export function configJsonSchema(): Readonly<Record<string, unknown>> {
  return { title: 'countersign.yaml', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
