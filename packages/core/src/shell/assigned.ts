import { type Assignment, type CompoundList, forEachChild, type SyntaxNode } from 'unbash';
import { isDigits, NUMBER, UNKNOWN } from './field.ts';
import type { ShellState } from './state.ts';

/** Builtins that set variables named by their words, or anything at all. */
const SETS_NAMED: ReadonlySet<string> = new Set([
  'read',
  'mapfile',
  'readarray',
  'getopts',
  'printf',
  'unset',
  'declare',
  'typeset',
  'local',
  'export',
  'readonly',
  'let',
]);
const SETS_ANYTHING: ReadonlySet<string> = new Set(['eval', 'source', '.', 'set', 'shift', 'cd', 'pushd', 'popd']);

/**
 * Before a loop: whatever its body may set is not known, since the body may have run already. Its functions are followed
 * where they are called, with the values of that place.
 */
export function forgetAssigned(lists: readonly CompoundList[], state: ShellState): void {
  let counters: Map<string, boolean> | undefined;
  const pending: SyntaxNode[] = [...lists];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === 'Assignment') {
      counters ??= new Map();
      counters.set(node.name, isCount(node, state) && counters.get(node.name) !== false);
    } else if (node.type === 'For' || node.type === 'Select') (counters ??= new Map()).set(node.name.text, false);
    else if (node.type === 'ArithmeticWord') forgetName(node.value, state);
    else if (node.type === 'ParameterExpansion' && node.operation?.type === 'Default')
      state.set(node.parameter, state.isSet(node.parameter) ? UNKNOWN : state.get(node.parameter));
    else if (node.type === 'Command') forgetBuiltin(node.name?.text, node.suffix, state);
    forEachChild(node, (child) => pending.push(child));
  }
  for (const [name, counts] of counters ?? []) state.set(name, counts ? NUMBER : UNKNOWN);
}

/** `i=$((i + 1))` of a number keeps it one. */
function isCount(assignment: Assignment, state: ShellState): boolean {
  const before = state.get(assignment.name);
  if (assignment.value.type !== 'Word' || assignment.append === true || assignment.index !== undefined) return false;
  const { text } = assignment.value;
  if (!text.startsWith('$((') || !text.endsWith('))') || text.indexOf('))') !== text.length - 2) return false;
  return before === NUMBER || (typeof before === 'string' && isDigits(before));
}

function forgetBuiltin(name: string | undefined, suffix: readonly SyntaxNode[], state: ShellState): void {
  if (name === undefined) return;
  if (state.definitions.isDefined(name)) state.forgetVariables();
  if (SETS_ANYTHING.has(name)) {
    if (name === 'cd' || name === 'pushd' || name === 'popd') state.moveTo([undefined]);
    else if (name === 'set' || name === 'shift') state.positional = undefined;
    else state.forgetVariables();
  } else if (SETS_NAMED.has(name)) for (const word of suffix) if (word.type === 'Word') forgetName(word.value, state);
}

function forgetName(text: string, state: ShellState): void {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  if (isName(name) && state.isSet(name)) state.set(name, UNKNOWN);
  else if (isName(name) && equals >= 0) state.set(name, UNKNOWN);
}

function isName(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);
}
