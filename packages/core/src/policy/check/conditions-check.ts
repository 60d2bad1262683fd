/** What can be seen of the conditions of one rule without running them on a call. */
import type { ASTNode } from '@marcbachmann/cel-js';
import { didYouMean } from '../../config/nearest.ts';
import type { Redactor } from '../../redact/redact.ts';
import type { Rule } from '../rule-definition.ts';
import { constantAnswer, contradiction } from './constants.ts';
import { argumentIn, type KnownTool } from './known-tools.ts';
import type { LookedAt, Report } from './looked-at.ts';
import { type ArgumentRead, argumentReads, guardedWhenTrue } from './reads.ts';
import { pathText, readsName } from './tree.ts';

export function checkConditions(each: LookedAt, tools: readonly KnownTool[] | undefined, redactor: Redactor, report: Report): void {
  checkAnswers(each, report);
  checkAnnotations(each, report);
  if (each.rule.raw !== undefined) {
    const text = 'reads raw arguments, which no ledger keeps: `policy replay` cannot say what it would have decided';
    report('RAW_READ', 'hint', text, each, ['raw']);
  }
  const told = new Set<string>();
  const guarded = each.when === undefined ? new Set<string>() : guardedWhenTrue(each.when);
  for (const [key, tree] of [['when', each.when] as const, ['unless', each.unless] as const]) {
    if (tree === undefined) continue;
    // What `when` made sure of holds in `unless`, which is evaluated after it.
    for (const read of argumentReads(tree, key === 'unless' ? guarded : undefined)) {
      const name = pathText(read.path);
      if (read.path.length === 0 || told.has(name)) continue;
      if (checkRead(each, key, read, tools, redactor, report)) told.add(name);
    }
  }
}

function checkAnswers({ rule, when, unless, ...each }: LookedAt, report: Report): void {
  const at = { rule, when, unless, ...each };
  const never = (key: string, why: string): void => report('RULE_NEVER_APPLIES', 'warning', `never applies: ${why}`, at, [key]);
  if (when !== undefined) {
    const answer = constantAnswer(rule.when ?? '', when);
    const clash = answer === undefined ? contradiction(when) : undefined;
    if (answer === false) never('when', '`when` is false for every call');
    else if (answer === true)
      report('CONDITION_CONSTANT', 'warning', '`when` is true for every call: leave it out, or say what is meant', at, ['when']);
    else if (answer === 'fails') report('CONDITION_CONSTANT', 'warning', failingText(rule, 'when'), at, ['when']);
    else if (clash !== undefined) never('when', `\`${clash}\` contradicts the rest of \`when\``);
  }
  if (unless === undefined) return;
  const answer = constantAnswer(rule.unless ?? '', unless);
  if (answer === true) never('unless', '`unless` is true for every call');
  else if (answer === false)
    report('CONDITION_CONSTANT', 'warning', '`unless` is false for every call: leave it out, or say what is meant', at, ['unless']);
  else if (answer === 'fails') report('CONDITION_CONSTANT', 'warning', failingText(rule, 'unless'), at, ['unless']);
}

function failingText({ effect, on }: Rule, key: string): string {
  const closed = on === 'result' ? 'every result it matches is withheld' : 'the rule denies every call it matches';
  return `\`${key}\` can never be evaluated: ${effect === 'allow' ? 'the rule never applies' : closed}`;
}

/** Loosening on a hint: the condition of a rule that allows, or what takes a call out of a rule that denies or asks. */
function checkAnnotations(each: LookedAt, report: Report): void {
  const [key, tree]: readonly [string, ASTNode | undefined] = each.rule.effect === 'allow' ? ['when', each.when] : ['unless', each.unless];
  if (tree === undefined || !readsName(tree, 'annotations')) return;
  const text =
    'lets calls through because of annotations, which the author of the tool writes and may lie in: name the tools instead, and tighten on annotations only';
  report('ANNOTATION_TRUSTED', 'warning', text, each, [key]);
}

/** @returns true when something was found: once is enough. */
function checkRead(
  each: LookedAt,
  key: string,
  read: ArgumentRead,
  tools: readonly KnownTool[] | undefined,
  redactor: Redactor,
  report: Report,
): boolean {
  const name = pathText(read.path);
  if (isRedacted(read.path, redactor)) {
    const text = `reads ${name}, which the redactor always replaces: its value is never seen; use has(${name}), \`findings\`, or raw`;
    report('ARGUMENT_REDACTED', 'warning', text, each, [key]);
    return true;
  }
  const known = (tools ?? [])
    .filter(({ schema }) => schema !== undefined)
    .map((tool) => ({ tool, known: argumentIn(tool.schema, read.path) }));
  const misses = known.filter((one) => one.known.kind === 'unknown');
  if (misses.length > 0 && misses.length === known.length) {
    const names = misses.flatMap((miss) => (miss.known.kind === 'unknown' ? miss.known.names : []));
    const text = `reads ${name}, which ${toolNames(misses)} not declare${didYouMean(read.path.at(-1) ?? '', new Set(names))}`;
    report('ARGUMENT_UNKNOWN', 'warning', text, each, [key]);
    return true;
  }
  if (read.isGuarded) return false;
  const optional = known.filter((one) => one.known.kind === 'optional' || one.known.kind === 'unknown');
  if (optional.length > 0) {
    report('ARGUMENT_UNGUARDED', 'warning', unguardedText(each, name, `${toolNames(optional, true)} may leave out`), each, [key]);
    return true;
  }
  // Without schemas nobody knows; a rule that allows only fails to allow.
  if (known.some((one) => one.known.kind === 'required') || each.rule.effect === 'allow') return false;
  report('ARGUMENT_UNGUARDED', 'hint', unguardedText(each, name, 'a call may leave out'), each, [key]);
  return true;
}

function unguardedText({ rule }: LookedAt, name: string, who: string): string {
  const closed = rule.on === 'result' ? 'the result is withheld then' : 'the call is denied then';
  const then = rule.effect === 'allow' ? 'the rule does not apply then' : closed;
  return `reads ${name}, which ${who}: ${then}; write \`has(${name}) && ...\` if that is not meant`;
}

function toolNames(found: readonly { readonly tool: KnownTool }[], isPlain = false): string {
  const [first] = found;
  const name = first === undefined ? '' : toolName(first.tool);
  if (found.length === 1) return isPlain ? name : `${name} does`;
  return isPlain ? `${name} and ${found.length - 1} more` : `${name} and ${found.length - 1} more do`;
}

export function toolName({ server, name }: Pick<KnownTool, 'server' | 'name'>): string {
  return server === undefined ? name : `${server}/${name}`;
}

/** A text nobody would take for harmless, and no shape of a secret: whether it goes depends on the names around it. */
const PROBE = 'quiet lamp 41';

function isRedacted(path: readonly string[], redactor: Redactor): boolean {
  let probe: unknown = PROBE;
  for (const key of path.toReversed()) probe = { [key]: probe };
  return redactor.redact(probe).findings.length > 0;
}
