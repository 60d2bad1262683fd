/** What moves money. */
import type { Rule } from '../../policy/rule-definition.ts';
import { celList, LOOKS } from '../words.ts';
import { asks } from './rule.ts';

const MOVES = celList([
  'transfer',
  'payout',
  'payouts',
  'wire',
  'withdraw',
  'withdrawal',
  'pay',
  'remit',
  'purchase',
  'buy',
  'donate',
  'disburse',
]);
const SENDS_MONEY = celList(['money', 'funds', 'payment', 'sol', 'eth', 'btc', 'transaction', 'crypto', 'coins', 'tokens']);
const PAYEES = celList(['payee', 'beneficiary', 'payout', 'bank', 'iban']);
/** Beyond this even what is given back is looked at; in whatever unit the tool counts. */
const LARGE_AMOUNT = 100_000;

export function money(): readonly Rule[] {
  const moves = `named(tool, ${MOVES}) || named(tool, ['send', 'create']) && named(tool, ${SENDS_MONEY}) && payees(args).size() > 0`;
  return [
    asks(
      'funds-moved',
      'FUNDS_MOVED',
      'the call moves money',
      `(${moves} || payees(args).size() > 0 && amounts(args).size() > 0) && amounts(args).size() > 0`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'payee-changed',
      'PAYEE_CHANGED',
      'the call changes where money goes',
      `named(tool, ${celList(['add', 'create', 'update', 'set', 'change', 'replace', 'edit'])}) && named(tool, ${PAYEES})`,
      `named(tool, ${LOOKS})`,
    ),
    asks(
      'large-amount',
      'LARGE_AMOUNT',
      'the amount is unusually large',
      `named(tool, ${celList(['refund', 'credit', 'charge', 'payment', 'payout', 'transfer'])}) && amounts(args).exists(a, a > ${LARGE_AMOUNT}.0)`,
      `named(tool, ${LOOKS})`,
    ),
  ];
}
