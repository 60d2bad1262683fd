/** The shape of `policy.packs`: names, and objects with one key for a pack with options. */
import * as z from 'zod';
import { PACK_NAMES, PACKS, type PackDocument, type PackName, packNamed } from '../packs/index.ts';
import { type CommonOptions, packRules, unknownRule } from '../packs/pack.ts';
import { type RuleApproval, type RuleSet, ruleFaults } from '../policy/rule-definition.ts';
import type { Look, Path, Problem } from './document.ts';
import { parseDuration } from './duration.ts';

export const MAX_PACKS = 32;

const withOptions = z.strictObject(
  Object.fromEntries(PACK_NAMES.map((name) => [name, PACKS[name].schema.optional().describe(packNamed(name).summary)])),
);

export const packsSchema: z.ZodType<readonly PackDocument[]> = z
  .array(z.union([z.enum(PACK_NAMES), withOptions as unknown as z.ZodType<Exclude<PackDocument, PackName>>]))
  .min(1)
  .max(MAX_PACKS);

/** A pack that a configuration uses, with the rules it comes to. */
export interface UsedPack {
  readonly name: PackName;
  readonly definition: RuleSet;
}

interface Named {
  readonly name: PackName;
  readonly options: CommonOptions;
}

/** What the schema cannot see: two keys or none, a pack twice, options that are missing, rules there are not. */
export function packProblems(
  packs: readonly PackDocument[],
  look: Look,
  tooLong: (ttlMs: number) => string | undefined,
): readonly Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<PackName>();
  packs.forEach((document, index) => {
    const at = ['policy', 'packs', index];
    const named = namedPack(document);
    if (named === undefined) {
      problems.push(look(at, 'one pack per item: an object with one key, such as { filesystem: { root: ~/work } }'));
      return;
    }
    const { name, options } = named;
    if (seen.has(name)) problems.push(look(at, `the pack ${name} is there already`));
    seen.add(name);
    const pack = packNamed(name);
    const required = pack.options.filter((option) => option.required && !Object.hasOwn(options, option.name));
    for (const { name: option, about } of required) problems.push(look(at, `the pack ${name} needs ${option}: ${about}`));
    if (required.length > 0) return;
    const unknown = unknownRule(pack.rules(options), options.without ?? []);
    if (unknown !== undefined) problems.push(look([...at, name, 'without'], unknown));
    problems.push(...approvalProblems(options.approval, [...at, name], look, tooLong));
  });
  return problems;
}

function approvalProblems(
  approval: RuleApproval | undefined,
  at: Path,
  look: Look,
  tooLong: (ttlMs: number) => string | undefined,
): readonly Problem[] {
  if (approval === undefined) return [];
  const faults = ruleFaults({ id: 'any', tools: ['*'], effect: 'require_approval', approval });
  const ttlMs = approval.ttl === undefined ? undefined : parseDuration(approval.ttl);
  const wait = ttlMs === undefined ? undefined : tooLong(ttlMs);
  return [
    ...faults.map(({ path, message }) => look([...at, ...path], message)),
    ...(wait === undefined ? [] : [look([...at, 'approval', 'ttl'], wait)]),
  ];
}

/** @param place - makes a path of the configuration absolute. */
export function workOutPacks(packs: readonly PackDocument[], place: (path: string) => string): readonly UsedPack[] {
  return packs.flatMap((document) => {
    const named = namedPack(document);
    if (named === undefined) return []; // a problem before
    const pack = packNamed(named.name);
    const options = pack.place === undefined ? named.options : pack.place(named.options, place);
    return [{ name: named.name, definition: packRules(pack, options) }];
  });
}

function namedPack(document: PackDocument): Named | undefined {
  if (typeof document === 'string') return { name: document, options: {} };
  const given = Object.entries(document).flatMap(([key, options]) => (options === undefined ? [] : [[key, options] as const]));
  const [only] = given;
  if (only === undefined || given.length !== 1) return undefined;
  const name = PACK_NAMES.find((known) => known === only[0]);
  return name === undefined ? undefined : { name, options: only[1] };
}
