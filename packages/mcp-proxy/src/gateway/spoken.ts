/** Reads what a server says that is no answer. What a gateway changes, and what it goes by, must read the same to everybody. */
import { scanJson } from '../json-scan.ts';
import { isObject, type JsonObject, member } from '../message.ts';

const KEYS: ReadonlySet<string> = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error']);

export type Spoken =
  | { readonly kind: 'request'; readonly message: JsonObject; readonly method: string; readonly idJson: string }
  | { readonly kind: 'notification'; readonly message: JsonObject; readonly method: string }
  | { readonly kind: 'noise' }
  /** Names the problem, never the content. */
  | { readonly kind: 'unclear'; readonly problem: string };

export function readSpoken(content: Buffer): Spoken {
  if (content.toString('latin1', 0, 64).trim() === '' && content.toString('latin1').trim() === '') return { kind: 'noise' };
  const scan = scanJson(content, KEYS);
  if (!scan.ok) return { kind: 'unclear', problem: 'not valid JSON' };
  if (scan.topLevel !== 'object') return { kind: 'noise' };
  if (scan.flaws.some(({ kind, zone }) => kind === 'duplicate-key' || kind === 'proto-key' || (kind === 'lookalike-key' && zone === 'top')))
    return { kind: 'unclear', problem: 'a key is repeated or looks like a reserved one' };
  const message: unknown = JSON.parse(content.toString('utf8'));
  const method = isObject(message) ? member(message, 'method') : undefined;
  if (!isObject(message) || typeof method !== 'string' || method === '') return { kind: 'noise' };
  if (scan.id === undefined) return { kind: 'notification', message, method };
  return { kind: 'request', message, method, idJson: content.toString('utf8', scan.id.start, scan.id.end) };
}
