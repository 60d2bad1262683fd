/**
 * The functions of conditions, by family. A family is one file (or folder) here and one line in this list.
 *
 * See `evaluation.ts` for what a function can reach and how it reports what it cannot answer.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { PATH_WORDS, registerPath } from './path.ts';

const FAMILIES: readonly ((environment: Environment) => void)[] = [registerPath];

/** Names that a misspelt one may have meant. */
export const FUNCTION_WORDS: readonly string[] = [...PATH_WORDS];

export function registerFunctions(environment: Environment): void {
  for (const register of FAMILIES) register(environment);
}
