/** What an entry says beside the facts that all of them share. A body is anybody's: what is not as it should be is left out. */
import type { RecordFacts } from '@countersign/core/sqlite';
import { amount } from './amount.ts';

type Json = NonNullable<RecordFacts['body']>[string];

/** Labels and what stands behind them; not escaped. */
export function detailRows({ kind, body }: RecordFacts): readonly (readonly [label: string, value: string])[] {
  const of = (name: string): Json | undefined => (body !== undefined && Object.hasOwn(body, name) ? body[name] : undefined);
  const text = (label: string, name: string): readonly [string, string][] => {
    const value = of(name);
    return typeof value === 'string' ? [[label, value]] : [];
  };
  const texts = (label: string, name: string): readonly [string, string][] => {
    const values = listOf(of(name)).filter((value) => typeof value === 'string');
    return values.length === 0 ? [] : [[label, values.join(', ')]];
  };
  switch (kind) {
    case 'decision':
      return [...listOf(of('budgets')).flatMap(charged), ...texts('seen', 'session_labels'), ...texts('labels', 'labels')];
    case 'outcome':
      return [...listOf(of('refunds')).flatMap(refunded), ...texts('labels', 'labels')];
    case 'session':
      return texts('labels', 'labels');
    case 'forget':
      return entries('erased', of('entries'));
    case 'recovery':
      return [...entries('left open', of('open')), ...text('of writer', 'of_writer'), ...unsigned(of('from'), of('to'))];
    case 'key':
      return text('key', 'vkey');
    case 'note':
      return [...text('topic', 'topic'), ['data', JSON.stringify(of('data') ?? null)]];
    default:
      return [];
  }
}

function charged(charge: Json): readonly [string, string][] {
  const [id, cost, left, limit] = [member(charge, 'id'), member(charge, 'cost'), member(charge, 'left'), member(charge, 'limit')];
  if (typeof id !== 'string' || !isAmount(cost) || !isAmount(left) || !isAmount(limit)) return [];
  return [['charged', `${amount(cost)} to ${id}: ${amount(left)} left of ${amount(limit)}`]];
}

function refunded(refund: Json): readonly [string, string][] {
  const [id, cost] = [member(refund, 'id'), member(refund, 'cost')];
  return typeof id === 'string' && isAmount(cost) ? [['refunded', `${amount(cost)} to ${id}`]] : [];
}

/** References, told by the numbers people count with. */
function entries(label: string, refs: Json | undefined): readonly [string, string][] {
  const numbers = listOf(refs).flatMap((ref) => {
    const position = member(ref, 'of');
    return isAmount(position) ? [position + 1] : [];
  });
  return numbers.length === 0 ? [] : [[label, `${numbers.length === 1 ? 'entry' : 'entries'} ${numbers.join(', ')}`]];
}

function unsigned(from: Json | undefined, to: Json | undefined): readonly [string, string][] {
  return isAmount(from) && isAmount(to) ? [['unsigned', `entries ${from + 1} to ${to} had no signature when their writer was gone`]] : [];
}

function listOf(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function member(value: Json, name: string): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as { readonly [name: string]: Json })[name] : undefined;
}

function isAmount(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}
