/** The shape of the `policy:` block of `countersign.yaml`. */
import * as z from 'zod';
import type { PackDocument } from '../packs/index.ts';
import { approvalSchema } from '../packs/pack.ts';
import { RESULT_EFFECTS } from '../policy/result-rule.ts';
import { EFFECTS, MAX_RULES, RULE_EFFECTS, RULE_SUBJECTS, type RuleSet } from '../policy/rule-definition.ts';
import { type AuthzenDocument, authzenSchema } from './decision-point-schema.ts';
import { packsSchema } from './pack-schema.ts';
import { policyFilesShape } from './policy-files-schema.ts';

/** As written. Without packs it needs an id and rules. */
export interface PolicyDocument extends Omit<RuleSet, 'id' | 'rules'> {
  readonly packs?: readonly PackDocument[] | undefined;
  readonly id?: string | undefined;
  readonly rules?: RuleSet['rules'] | undefined;
  readonly reload?: boolean | undefined;
  readonly cedar?: readonly string[] | undefined;
  readonly bundle?: string | undefined;
  readonly keys?: readonly string[] | undefined;
  readonly threshold?: number | undefined;
  readonly authzen?: AuthzenDocument | undefined;
}

const effect = z.enum(EFFECTS);

const rule = z.strictObject({
  id: z.string().describe('unique name of the rule'),
  on: z.enum(RULE_SUBJECTS).optional().describe('result: the rule looks at what the tool returned; call when absent'),
  tools: z.array(z.string()).min(1).describe('server/name globs; in allow rules a bare name means tools without a server'),
  when: z.string().optional().describe('CEL condition that must be true'),
  unless: z.string().optional().describe('CEL condition that must not be true'),
  effect: z
    .enum([...new Set([...RULE_EFFECTS, ...RESULT_EFFECTS])])
    .describe('label decides nothing: it attaches its labels when the call goes through; mask, truncate and withhold are for on: result'),
  reason: z.string().max(500).optional().describe('for people'),
  reason_code: z.string().optional().describe('in the style of POLICY_DENY_HIGH_RISK'),
  approval: approvalSchema.optional().describe('terms of a require_approval rule'),
  label: z.array(z.string()).optional().describe('labels for the session'),
  raw: z.array(z.string()).optional().describe('JSON pointers of raw arguments the conditions may read'),
  max_chars: z.number().optional().describe('of effect truncate: characters that are left'),
  message: z.string().optional().describe('of a rule on results: for the model, beside what is withheld or cut'),
});

export const policySchema: z.ZodType<PolicyDocument> = z.strictObject({
  packs: packsSchema.optional().describe('rules that are ready: names, or objects with one key for a pack with options'),
  id: z.string().optional().describe('required, unless there are packs and no rules'),
  version: z.string().optional(),
  default: effect.optional().describe('for calls no rule matches; deny when absent'),
  rules: z.array(rule).max(MAX_RULES).optional().describe('required, unless there are packs'),
  authzen: authzenSchema.optional(),
  ...policyFilesShape,
  reload: z.boolean().optional().describe('put a changed policy in force while running; true when absent'),
});
