/** Finds the rules whose tool patterns match, without trying all patterns on every call. */
import type { ToolRef } from '../call.ts';
import type { ToolPattern } from './patterns.ts';

/** Tools remembered per index. Names come from servers and models, so the memory must not grow with them. */
export const MAX_REMEMBERED_TOOLS = 1024;
/** Longer names are looked up each time instead of being remembered. */
const MAX_REMEMBERED_NAME_CHARS = 256;

export interface RuleIndex<Candidates> {
  find(tool: Pick<ToolRef, 'server' | 'name'>): Candidates;
  /** How many tools are remembered now. */
  readonly size: number;
}

interface Entry<Rule> {
  readonly rule: Rule;
  readonly patterns: readonly ToolPattern[];
}

/** @param select - turns the matching rules, in definition order, into what is remembered per tool. */
export function ruleIndex<Rule, Candidates>(
  entries: readonly Entry<Rule>[],
  select: (rules: readonly Rule[]) => Candidates,
): RuleIndex<Candidates> {
  const byName = new Map<string, number[]>();
  const wild: number[] = [];
  entries.forEach((entry, index) => {
    if (entry.patterns.some((pattern) => pattern.exactName === undefined)) wild.push(index);
    else
      for (const name of new Set(entry.patterns.map((pattern) => pattern.exactName ?? '')))
        byName.set(name, [...(byName.get(name) ?? []), index]);
  });
  const all = entries.map((_, index) => index);
  const remembered = new Map<string, Candidates>();

  const lookUp = (tool: Pick<ToolRef, 'server' | 'name'>): Candidates => {
    // A name that holds a `/` may also be matched as `server/name`, so the index by name does not cover it.
    const indexes = tool.name.includes('/') ? all : [...(byName.get(tool.name) ?? []), ...wild].sort((left, right) => left - right);
    const rules = indexes.flatMap((index) => {
      const entry = entries[index];
      return entry?.patterns.some((pattern) => pattern.matches(tool)) ? [entry.rule] : [];
    });
    return select(rules);
  };

  return {
    find(tool) {
      const server = tool.server ?? '';
      if (server.length + tool.name.length > MAX_REMEMBERED_NAME_CHARS) return lookUp(tool);
      const key = `${server.length}/${server}${tool.name}`;
      let candidates = remembered.get(key);
      if (candidates === undefined) {
        candidates = lookUp(tool);
        if (remembered.size >= MAX_REMEMBERED_TOOLS) remembered.delete(remembered.keys().next().value ?? '');
        remembered.set(key, candidates);
      }
      return candidates;
    },
    get size() {
      return remembered.size;
    },
  };
}
