/** `policy.cedar`, `policy.bundle`, `policy.keys`, `policy.threshold`: policies that lie in files of their own. */
import * as z from 'zod';

export const MAX_CEDAR_FILES = 32;
const MAX_KEYS = 16;

const path = z.string().min(1).max(4096);

interface PolicyFilesShape {
  readonly cedar: z.ZodOptional<z.ZodType<readonly string[]>>;
  readonly bundle: z.ZodOptional<z.ZodType<string>>;
  readonly keys: z.ZodOptional<z.ZodType<readonly string[]>>;
  readonly threshold: z.ZodOptional<z.ZodType<number>>;
}

export const policyFilesShape: PolicyFilesShape = {
  cedar: z
    .array(path)
    .min(1)
    .max(MAX_CEDAR_FILES)
    .optional()
    .describe('files with Cedar policies; *.cedarschema is the schema, *.json are entities'),
  bundle: path.optional().describe('a signed policy, in place of rules: see `countersign policy sign`'),
  keys: z
    .array(z.string())
    .min(1)
    .max(MAX_KEYS)
    .optional()
    .describe('verifier lines of those who may sign the bundle; nothing else decides'),
  threshold: z.int().min(1).max(MAX_KEYS).optional().describe('how many of the keys must have signed; 1 when absent'),
};
