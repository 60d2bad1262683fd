/** Cases for policy packs: single calls and sequences, as agents make them. Whatever looks like a secret is made up here. */
import type { ToolAnnotations } from '../../../src/call.ts';
import { secretsOf } from '../../redact/corpora.ts';

export interface CorpusCall {
  /** `server/name`, or a name alone. */
  readonly tool: string;
  readonly args: unknown;
  readonly annotations?: ToolAnnotations;
  /** What came back; nothing when absent. */
  readonly result?: unknown;
}

export interface CorpusCase {
  readonly category: string;
  readonly calls: readonly CorpusCall[];
}

export function call(tool: string, args: unknown, result?: unknown): CorpusCall {
  return { tool, args, ...(result !== undefined && { result }) };
}

/** Each row is a case of one call. */
export function singles(category: string, rows: readonly (readonly [tool: string, args: unknown])[]): readonly CorpusCase[] {
  return rows.map(([tool, args]) => ({ category, calls: [call(tool, args)] }));
}

/** Each row is a case: calls of one session, in order. */
export function sequences(category: string, rows: readonly (readonly CorpusCall[])[]): readonly CorpusCase[] {
  return rows.map((calls) => ({ category, calls }));
}

/** A shell command, as coding agents give it. */
export function sh(command: string, result?: unknown): CorpusCall {
  return call('shell/bash', { command }, result);
}

const SECRETS = secretsOf('policy-packs');

/** A made-up secret of this kind. */
export function secret(kind: string, number = 0): string {
  const found = SECRETS.filter((each) => each.kind === kind)[number];
  if (found === undefined) throw new Error(`no secret of kind ${kind}`);
  return found.secret;
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
export const hex = (text: string): string => Buffer.from(text).toString('hex');
export const percent = (text: string): string => [...Buffer.from(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
