import { fileURLToPath } from 'node:url';
import { rulePolicy } from '@countersign/core';

export const ECHO_SERVER = 'bench';
export const ECHO_POLICY = rulePolicy({ id: 'bench', rules: [{ id: 'echo', tools: [`${ECHO_SERVER}/echo`], effect: 'allow' }] });

const NODE_OPTIONS = ['--conditions=@countersign/source', '--no-warnings'];

export function nodeScript(file: string, ...args: string[]): { readonly command: string; readonly args: string[] } {
  return { command: process.execPath, args: [...NODE_OPTIONS, fileURLToPath(new URL(file, import.meta.url)), ...args] };
}

export const UPSTREAM: { readonly command: string; readonly args: string[] } = nodeScript('./mcp-server.ts');
