/**
 * Tests of a policy, as a table in YAML.
 *
 *     policy: ../countersign.yaml
 *     cases:
 *       - name: small refunds pass
 *         call: { tool: bank/refund, args: { amount: 20 } }
 *         expect: { effect: allow, rule: small-refund }
 *       - name: after reading a web page a mail out asks
 *         steps:
 *           - { call: { tool: browser/open, args: { url: "https://example.org" } }, expect: allow }
 *           - { call: { tool: email/send, args: { to: "x@example.org" } }, expect: require_approval }
 */
import * as z from 'zod';
import { type Effect, type Mode, RESULT_ACTIONS, type ResultAction, type ToolAnnotations } from '../../call.ts';
import { type Problem, readYaml, type YamlText } from '../../config/document.ts';
import { parseDuration } from '../../config/duration.ts';
import { type PolicyDocument, policySchema } from '../../config/policy-schema.ts';
import { schemaProblems } from '../../config/problems.ts';
import { MODES } from '../../config/schema.ts';
import { EFFECTS } from '../../policy/rule-definition.ts';

export const MAX_TEST_CASES = 5000;
export const MAX_TEST_STEPS = 100;

export interface ExpectDocument {
  readonly effect: Effect;
  readonly would?: Effect | undefined;
  /** `null`: the default decides, no rule. */
  readonly rule?: string | null | undefined;
  readonly reason_code?: string | undefined;
  readonly labels?: readonly string[] | undefined;
  /** What rules on results make of `result`. */
  readonly result?: ResultAction | undefined;
}

export interface StepDocument {
  readonly call: {
    readonly tool: string;
    readonly server?: string | undefined;
    readonly args?: unknown;
    readonly annotations?: { readonly [Hint in keyof ToolAnnotations]?: ToolAnnotations[Hint] | undefined } | undefined;
    readonly cost?: number | undefined;
  };
  readonly principal?: string | undefined;
  readonly after?: string | undefined;
  readonly approve?: boolean | undefined;
  readonly result?: unknown;
  readonly fails?: boolean | undefined;
  readonly expect: Effect | ExpectDocument;
}

export interface CaseDocument extends Partial<StepDocument> {
  readonly name: string;
  readonly mode?: Mode | undefined;
  readonly time?: string | undefined;
  readonly session?:
    | { readonly id?: string | undefined; readonly labels?: readonly string[] | undefined; readonly started?: string | undefined }
    | undefined;
  readonly steps?: readonly StepDocument[] | undefined;
}

export interface TestDocument {
  readonly policy: string | PolicyDocument;
  readonly agent?: string | undefined;
  readonly mode?: Mode | undefined;
  readonly cases: readonly CaseDocument[];
}

const name = z.string().min(1).max(256);
const effect = z.enum(EFFECTS);
const mode = z.enum(MODES);
const time = z.iso.datetime({ offset: true, error: 'a time is written 2026-01-31T10:00:00Z' });

const step = {
  call: z.strictObject({
    tool: name.describe('server/name, or a name alone; with server, the name as it is'),
    server: name.optional(),
    args: z.unknown().optional(),
    annotations: z
      .strictObject({
        title: z.string().optional(),
        readOnlyHint: z.boolean().optional(),
        destructiveHint: z.boolean().optional(),
        idempotentHint: z.boolean().optional(),
        openWorldHint: z.boolean().optional(),
      })
      .optional(),
    cost: z.number().min(0).optional().describe('in whole units'),
  }),
  principal: name.optional(),
  after: z
    .string()
    .refine((text) => parseDuration(text) !== undefined, 'one whole number and a unit, such as 5m')
    .optional()
    .describe('how long after the step before'),
  approve: z.boolean().optional().describe('a person approves the call, and it is decided again and runs'),
  result: z.unknown().optional().describe('what the tool returns'),
  fails: z.boolean().optional().describe('the tool throws'),
  expect: z.union([
    effect,
    z.strictObject({
      effect,
      would: effect.optional().describe('what the policy says, whatever the mode makes of it'),
      rule: name.nullable().optional().describe('null: no rule, the default'),
      reason_code: name.optional(),
      labels: z.array(name).optional().describe('exactly the labels the call adds to its session'),
      result: z.enum(RESULT_ACTIONS).optional().describe('what rules on results make of the result'),
    }),
  ]),
};

const aboutCase = {
  name: z.string().min(1).max(500),
  mode: mode.optional(),
  time: time.optional().describe('when it happens; 2026-01-01T00:00:00Z when absent'),
  session: z.strictObject({ id: name.optional(), labels: z.array(name).max(64).optional(), started: time.optional() }).optional(),
};

export const testSchema: z.ZodType<TestDocument> = z.strictObject({
  policy: z
    .union([z.string().min(1), policySchema])
    .describe('a configuration or a policy file, from the folder of this file; or what stands under policy:'),
  agent: name.optional(),
  mode: mode.optional().describe('of all cases; enforce when absent'),
  cases: z
    .array(
      z.union([
        z.strictObject({ ...aboutCase, ...step }),
        z.strictObject({ ...aboutCase, steps: z.array(z.strictObject(step)).min(1).max(MAX_TEST_STEPS) }),
      ]),
    )
    .min(1)
    .max(MAX_TEST_CASES),
});

/** JSON Schema of files of tests, for editors. Draft 2020-12. A policy in the file is described beside it, with the configuration. */
export function policyTestJsonSchema(): Readonly<Record<string, unknown>> {
  const { properties, ...schema } = z.toJSONSchema(testSchema, { io: 'input' });
  const policy = {
    description: 'a configuration or a policy file, from the folder of this file; or what stands under policy:',
    anyOf: [{ type: 'string', minLength: 1 }, { $ref: 'config.schema.json#/properties/policy' }],
  };
  return { title: 'tests of a Countersign policy', ...schema, properties: { ...properties, policy } };
}

export interface TestText {
  readonly yaml: YamlText;
  readonly document?: TestDocument;
  readonly problems: readonly Problem[];
}

export function readTests(source: string): TestText {
  const yaml = readYaml(source);
  if (yaml.problems.length > 0) return { yaml, problems: yaml.problems };
  const parsed = testSchema.safeParse(yaml.value);
  if (parsed.success) return { yaml, document: parsed.data, problems: [] };
  return { yaml, problems: parsed.error.issues.flatMap((issue) => schemaProblems(issue, yaml, testSchema)) };
}
