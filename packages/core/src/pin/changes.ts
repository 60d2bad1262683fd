/** What differs between the declaration that is trusted and another one. */

import { type ArgumentChange, argumentChanges } from '../approval/changes.ts';
import { clip, escapeForTerminal } from '../approval/terminal-text.ts';
import type { EntryRef, Json } from '../call.ts';
import type { Opening } from '../ledger/entry.ts';
import type { Store } from '../store.ts';
import type { PinState, RecordedOffer } from './book.ts';

export interface DeclarationChanges {
  /** Absent when it was forgotten. */
  readonly pinned?: Json;
  readonly offered?: Json;
  readonly changes: readonly ArgumentChange[];
  /** Changes beyond those listed. */
  readonly more: number;
}

/** @param offered - default: what was offered last. */
export async function declarationChanges(
  { name, pinned, offered: all }: PinState,
  store: Pick<Store, 'opening'>,
  offered: RecordedOffer | undefined = all.at(-1),
): Promise<DeclarationChanges> {
  const at = async (entry: EntryRef | undefined): Promise<Json | undefined> =>
    entry === undefined ? undefined : declarationIn(await store.opening(entry.of), name);
  return changesBetween(await at(pinned?.entry), await at(offered?.entry));
}

export function changesBetween(pinned: Json | undefined, offered: Json | undefined): DeclarationChanges {
  const differ = pinned === undefined || offered === undefined ? { changes: [], more: 0 } : argumentChanges(pinned, offered);
  return { ...(pinned !== undefined && { pinned }), ...(offered !== undefined && { offered }), ...differ };
}

/** The declaration of a tool in what lies beside a pin entry; undefined when it was forgotten. */
export function declarationIn(opening: Opening | undefined, name: string): Json | undefined {
  const declarations = opening?.sections['declarations'];
  if (typeof declarations !== 'object' || declarations === null || Array.isArray(declarations)) return undefined;
  return Object.hasOwn(declarations, name) ? (declarations as { readonly [name: string]: Json })[name] : undefined;
}

const MAX_SHOWN_CHANGES = 3;
const MAX_VALUE_CHARS = 60;

/** In one line, for the reason of a refusal; a server writes all of it, so all of it is escaped. */
export function changesText({ changes, more }: DeclarationChanges): string {
  const shown = changes.slice(0, MAX_SHOWN_CHANGES).map(changeText);
  const rest = changes.length - shown.length + more;
  return [...shown, ...(rest > 0 ? [`${rest} more`] : [])].join('; ');
}

function changeText({ pointer, before, after }: ArgumentChange): string {
  const where = clip(escapeForTerminal(pointer.slice(0, 200)), MAX_VALUE_CHARS);
  if (before === undefined) return `${where} added: ${valueText(after)}`;
  if (after === undefined) return `${where} removed`;
  const at = typeof before === 'string' && typeof after === 'string' ? commonStart(before, after) : 0;
  return `${where} is now ${at > 0 ? '…' : ''}${valueText(typeof after === 'string' ? after.slice(at) : after)}`;
}

function valueText(value: Json | undefined): string {
  const text = typeof value === 'string' ? value.slice(0, 4 * MAX_VALUE_CHARS) : JSON.stringify(value)?.slice(0, 4 * MAX_VALUE_CHARS);
  return JSON.stringify(clip(escapeForTerminal((text ?? '').toWellFormed()), MAX_VALUE_CHARS));
}

/** Up to the word in which they first differ. */
function commonStart(before: string, after: string): number {
  let at = 0;
  while (at < before.length && at < after.length && before[at] === after[at]) at++;
  return Math.max(0, after.lastIndexOf(' ', at) + 1);
}
