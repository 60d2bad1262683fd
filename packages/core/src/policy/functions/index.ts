/**
 * The functions of conditions, by family. A family is one file (or folder) here and one line in this list.
 *
 * See `evaluation.ts` for what a function can reach and how it reports what it cannot answer.
 */
import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { CALL_WORDS, registerCall } from './call.ts';
import { checkHostLiterals, HOST_WORDS, registerHosts } from './hosts.ts';
import { type LiteralCheck, writtenCall } from './literals.ts';
import { checkMoneyLiterals, MONEY_WORDS, registerMoney } from './money.ts';
import { checkPathLiterals, PATH_WORDS, registerPath } from './path.ts';
import { registerShell, SHELL_WORDS } from './shell.ts';
import { registerSql, SQL_WORDS } from './sql.ts';
import { registerTexts, TEXT_WORDS } from './texts.ts';
import { checkTimeLiterals, registerTimes, TIME_WORDS } from './times.ts';

interface Family {
  /** Names that a misspelt one may have meant. */
  readonly words: readonly string[];
  readonly register: (environment: Environment) => void;
  /** What stands in quotes in a rule is checked when the rule is loaded. */
  readonly check?: LiteralCheck;
}

const FAMILIES: readonly Family[] = [
  { words: PATH_WORDS, register: registerPath, check: checkPathLiterals },
  { words: HOST_WORDS, register: registerHosts, check: checkHostLiterals },
  { words: SHELL_WORDS, register: registerShell },
  { words: CALL_WORDS, register: registerCall },
  { words: SQL_WORDS, register: registerSql },
  { words: TEXT_WORDS, register: registerTexts },
  { words: MONEY_WORDS, register: registerMoney, check: checkMoneyLiterals },
  { words: TIME_WORDS, register: registerTimes, check: checkTimeLiterals },
];

export const FUNCTION_WORDS: readonly string[] = FAMILIES.flatMap(({ words }) => words);

export function registerFunctions(environment: Environment): void {
  for (const { register } of FAMILIES) register(environment);
}

/** What is wrong with the written arguments of a call, or undefined. */
export function literalFault(node: ASTNode): string | undefined {
  const call = writtenCall(node);
  if (call === undefined) return undefined;
  for (const { check } of FAMILIES) {
    const fault = check?.(call);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
