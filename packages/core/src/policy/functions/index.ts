/**
 * The functions of conditions, by family. A family is one file (or folder) here and one line in these lists.
 *
 * See `evaluation.ts` for what a function can reach and how it reports what it cannot answer.
 */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { CALL_WORDS, registerCall } from './call.ts';
import { checkHostLiterals, HOST_WORDS, registerHosts } from './hosts.ts';
import { type LiteralCheck, writtenCall } from './literals.ts';
import { PATH_WORDS, registerPath } from './path.ts';
import { registerShell, SHELL_WORDS } from './shell.ts';

const FAMILIES: readonly ((environment: Environment) => void)[] = [registerPath, registerHosts, registerShell, registerCall];

/** What stands in quotes in a rule is checked when the rule is loaded. */
const LITERALS: readonly LiteralCheck[] = [checkHostLiterals];

/** Names that a misspelt one may have meant. */
export const FUNCTION_WORDS: readonly string[] = [...PATH_WORDS, ...HOST_WORDS, ...SHELL_WORDS, ...CALL_WORDS];

export function registerFunctions(environment: Environment): void {
  for (const register of FAMILIES) register(environment);
}

/** What is wrong with the written arguments of a call, or undefined. */
export function literalFault(node: ASTNode): string | undefined {
  const call = writtenCall(node);
  if (call === undefined) return undefined;
  for (const check of LITERALS) {
    const fault = check(call);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
