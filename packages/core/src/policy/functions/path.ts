/**
 * `path.*`: what a path names.
 *
 * | function              | gives                                            |
 * |-----------------------|--------------------------------------------------|
 * | `path.name(p)`        | its last segment, `report.pdf`                   |
 * | `path.extension(p)`   | `.pdf`, in lower case; '' when there is none      |
 */
import type { Environment } from '@marcbachmann/cel-js';
import { ConditionFault } from '../condition-value.ts';
import { CHARS_PER_STEP, spend } from '../evaluation.ts';

export const PATH_WORDS: readonly string[] = ['path'];

/** The type of `path`: a namespace, of which there is one value. */
class PathFunctions {}

export function registerPath(environment: Environment): void {
  environment.registerType('PathFunctions', PathFunctions);
  environment.registerConstant('path', 'PathFunctions', new PathFunctions());
  environment.registerFunction('PathFunctions.name(string): string', (_path: PathFunctions, text: string) => pathName(text));
  environment.registerFunction('PathFunctions.extension(string): string', (_path: PathFunctions, text: string) => {
    const name = pathName(text);
    const dot = name.lastIndexOf('.');
    return dot <= 0 ? '' : name.slice(dot).toLowerCase();
  });
}

function pathName(text: string): string {
  spend(1 + text.length / CHARS_PER_STEP);
  if (text.includes('\0')) throw new ConditionFault('path: a path holds a NUL character');
  const parts = text.split('/').filter((part) => part !== '');
  return parts.at(-1) ?? '';
}
