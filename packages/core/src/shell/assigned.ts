import { type CompoundList, forEachChild, type SyntaxNode } from 'unbash';
import { UNKNOWN } from './field.ts';
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
  const pending: SyntaxNode[] = [...lists];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.type === 'Assignment') state.set(node.name, UNKNOWN);
    else if (node.type === 'For' || node.type === 'Select') state.set(node.name.text, UNKNOWN);
    else if (node.type === 'ArithmeticWord') forgetName(node.value, state);
    else if (node.type === 'ParameterExpansion' && node.operation?.type === 'Default')
      state.set(node.parameter, state.isSet(node.parameter) ? UNKNOWN : state.get(node.parameter));
    else if (node.type === 'Command') forgetBuiltin(node.name?.text, node.suffix, state);
    forEachChild(node, (child) => pending.push(child));
  }
}

function forgetBuiltin(name: string | undefined, suffix: readonly SyntaxNode[], state: ShellState): void {
  if (name === undefined) return;
  if (state.definitions.functions.has(name)) state.forgetVariables();
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
