/** How a client starts this very installation: absolute paths, since clients with a window rarely know the shell's PATH. */
import { fileURLToPath } from 'node:url';
import { FileRefusedError } from '../failure.ts';

export interface Program {
  readonly node: string;
  /** Arguments before `proxy`: flags of Node if there are any, and the script last. */
  readonly args: readonly string[];
  /** Why this installation may be gone tomorrow. */
  readonly warning?: string;
}

/** @throws {FileRefusedError} when a client would take a part of the path for a variable. */
export function ownProgram(url: string = import.meta.url, node: string = process.execPath): Program {
  const isSource = url.endsWith('.ts');
  const script = fileURLToPath(new URL(isSource ? '../main.ts' : '../main.js', url));
  for (const path of [node, script]) refuseVariables(path);
  const warning = /[\\/]_npx[\\/]/.test(script)
    ? "this copy of Countersign lies in npx's cache, which npm empties: install it (npm install --global @countersign/cli) and wrap again"
    : undefined;
  return {
    node,
    args: [...(isSource ? ['--conditions=@countersign/source', '--no-warnings'] : []), script],
    ...(warning !== undefined && { warning }),
  };
}

/** @throws {FileRefusedError} */
export function refuseVariables(path: string): void {
  if (!path.includes('$')) return;
  throw new FileRefusedError(`the path ${path} holds a $, which clients take for the start of a variable`, 'move it to a path without one');
}
