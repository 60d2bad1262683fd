/**
 * A policy pack: rules that are ready, for one kind of tool, with a few options.
 *
 * Packs are data. A pack's rules become a policy of its own, whose default is `allow`: beside a team's rules it asks for
 * more and never for less, and it changes no default of theirs. No pack has allow rules; a test says so.
 */
import * as z from 'zod';
import { ASSURANCES, type Assurance } from '../call.ts';
import { didYouMean } from '../config/nearest.ts';
import { CountersignError } from '../errors.ts';
import type { Policy } from '../policy/policy.ts';
import { MAX_QUORUM, type Rule, type RuleApproval, type RuleSet } from '../policy/rule-definition.ts';
import { rulePolicy } from '../policy/rules.ts';

/** Options that every pack has. */
export interface CommonOptions {
  /** Ids of rules of the pack that are left out. */
  readonly without?: readonly string[] | undefined;
  /** Terms of everything the pack asks for. */
  readonly approval?: RuleApproval | undefined;
}

/** What is said of an option, for `countersign policy packs NAME` and the docs. */
export interface PackOption {
  readonly name: string;
  readonly about: string;
  readonly required: boolean;
}

export interface Pack<Options extends CommonOptions = CommonOptions> {
  readonly name: string;
  /** Raised when a rule changes; in every decision. */
  readonly version: string;
  /** One line: what it is for. */
  readonly summary: string;
  /** What it cannot see, one sentence each. */
  readonly blind: readonly string[];
  /** Options to show it with, where some are required. */
  readonly example: Options;
  readonly schema: z.ZodType<Options>;
  readonly options: readonly PackOption[];
  /** Makes the paths among the options absolute. */
  place?(options: Options, place: (path: string) => string): Options;
  rules(options: Options): readonly Rule[];
}

const MAX_PACK_LIST = 200;
const MAX_OPTION_CHARS = 1024;

export const optionText: z.ZodString = z.string().min(1).max(MAX_OPTION_CHARS);
export const optionTexts: z.ZodArray<z.ZodString> = z.array(optionText).min(1).max(MAX_PACK_LIST);

/** One or several. */
export function listOf(given: string | readonly string[] | undefined): readonly string[] {
  return given === undefined ? [] : typeof given === 'string' ? [given] : given;
}

export const approvalSchema: z.ZodType<RuleApproval> = z.strictObject({
  ttl: z.string().describe('one whole number and a unit: 500ms, 30s, 5m, 1h, 7d').optional(),
  quorum: z.number().max(MAX_QUORUM).optional(),
  approvers: z.array(z.string().min(1)).optional(),
  assurance: z
    .enum(ASSURANCES as readonly [Assurance, ...Assurance[]])
    .optional()
    .describe('least an approving answer must be worth; a key is high, elicitation is low'),
});

const COMMON = {
  without: optionTexts.optional().describe('ids of rules of this pack that are left out'),
  approval: approvalSchema.optional().describe('terms of everything this pack asks for'),
};

/** @param shape - the options of this pack alone, each with a description. */
export function definePack<Options extends CommonOptions>(
  pack: Omit<Pack<Options>, 'schema' | 'options'>,
  shape: Readonly<Record<Exclude<keyof Options, keyof CommonOptions>, z.ZodType>>,
): Pack<Options> {
  const all: Readonly<Record<string, z.ZodType>> = { ...shape, ...COMMON };
  return {
    ...pack,
    // The shape has one schema per member of Options, which is all that a strict object of it can be.
    schema: z.strictObject(all) as unknown as z.ZodType<Options>,
    options: Object.entries(all).map(([name, schema]) => ({
      name,
      about: schema.description ?? '',
      required: !schema.safeParse(undefined).success,
    })),
  };
}

/**
 * The rules of a pack with these options.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`
 */
export function packRules<Options extends CommonOptions>(pack: Pack<Options>, options: Options): RuleSet {
  const parsed = pack.schema.safeParse(options);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const at = issue === undefined || issue.path.length === 0 ? '' : ` ${issue.path.map(String).join('.')}:`;
    throw new CountersignError('OPTIONS_INVALID', `pack ${pack.name}:${at} ${issue?.message ?? 'options out of shape'}`);
  }
  const { without = [], approval } = parsed.data;
  const all = pack.rules(parsed.data);
  const unknown = unknownRule(all, without);
  if (unknown !== undefined) throw new CountersignError('OPTIONS_INVALID', `pack ${pack.name}: ${unknown}`);
  const rules = all
    .filter(({ id }) => !without.includes(id))
    .map((rule) => (rule.effect === 'require_approval' && approval !== undefined ? { ...rule, approval } : rule));
  return { id: pack.name, version: pack.version, default: 'allow', rules };
}

/** What is wrong with `without`; `undefined` when nothing is. */
export function unknownRule(rules: readonly Rule[], without: readonly string[]): string | undefined {
  const ids = rules.map(({ id }) => id);
  const unknown = without.find((id) => !ids.includes(id));
  return unknown === undefined ? undefined : `without: there is no rule ${JSON.stringify(unknown)}${didYouMean(unknown, ids)}`;
}

export function packPolicy<Options extends CommonOptions>(pack: Pack<Options>, options: Options): Policy {
  return rulePolicy(packRules(pack, options));
}
