/** What the policy of a configuration consists of, as the tools for people see it: sets of rules, and what is none. */
import type { Config } from '../../config/config.ts';
import { PACK_NAMES } from '../../packs/index.ts';
import type { RuleSet } from '../rule-definition.ts';

/** Every set of rules, packs among them, in the order in which they decide. */
export function ruleSetsOf({ packs, policyDefinition, bundle }: Config): readonly RuleSet[] {
  if (bundle === undefined) return [...packs.map(({ definition }) => definition), policyDefinition];
  return bundle.bundle.members.flatMap((member) => (member.kind === 'rules' ? [member.definition] : []));
}

/** Those that somebody wrote: the rules of packs are ours. */
export function ownRuleSets(config: Config): readonly RuleSet[] {
  return config.bundle === undefined ? [config.policyDefinition] : ruleSetsOf(config).filter((set) => !isPack(set));
}

export function packSets(config: Config): readonly RuleSet[] {
  return config.bundle === undefined ? config.packs.map(({ definition }) => definition) : ruleSetsOf(config).filter(isPack);
}

/** What a bundle holds of a pack is its rules in full, under its name. */
function isPack({ id, rules }: RuleSet): boolean {
  return PACK_NAMES.some((name) => name === id) && rules.every((rule) => rule.id.startsWith(`${id}.`));
}

export function hasCedar({ policyMembers, bundle }: Config): boolean {
  return [...policyMembers, ...(bundle?.bundle.members ?? [])].some(({ kind }) => kind === 'cedar');
}

/** What decides beside the rules and is not looked at rule by rule, in sentences. */
export function besideRules(config: Config): readonly string[] {
  return [
    ...(hasCedar(config) ? ['Cedar policies decide too: they are read as they load, and not told rule by rule.'] : []),
    ...(config.authzen === undefined ? [] : ['The decision point of the configuration was not asked.']),
  ];
}
