/** Money: amounts over limits, and where it goes. */
import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, LOOKS } from './words.ts';

export interface PaymentsOptions extends CommonOptions {
  /** Amounts above it ask, in the unit the tools use; 0 when absent: every movement asks. */
  readonly ask_over?: number | undefined;
  /** Amounts above it are denied. */
  readonly deny_over?: number | undefined;
  /** Tools that move money, beside those that are recognised. */
  readonly tools?: readonly string[] | undefined;
}

const MAX_AMOUNT = 1e15;

export const payments: Pack<PaymentsOptions> = definePack<PaymentsOptions>(
  {
    name: 'payments',
    version: '1',
    summary: 'amounts over your limits, new payees, money that moves without an amount',
    example: { ask_over: 100 },
    blind: [
      'Units and currencies: an amount is a number, in whatever the tool counts.',
      'Sums over several calls: that is what budgets are for.',
    ],
    rules: ({ ask_over: askOver = 0, deny_over: denyOver, tools }) => {
      const moves = tools === undefined ? MOVES : `(${MOVES})`;
      const of = (id: string, effect: 'deny' | 'require_approval', reason: string, when: string): readonly Rule[] => [
        rule(id, effect, ANY_TOOL, reason, `(${moves}) && ${when}`, `named(tool, ${LOOKS})`),
        ...(tools === undefined ? [] : [rule(`${id}-named`, effect, tools, reason, when)]),
      ];
      return [
        ...of(
          'over-limit',
          'require_approval',
          'the amount is over what moves without a person',
          `amounts(args).exists(a, a > ${double(askOver)})`,
        ),
        ...(denyOver === undefined
          ? []
          : of('far-over-limit', 'deny', 'the amount is over what may move at all', `amounts(args).exists(a, a > ${double(denyOver)})`)),
        ...of('no-amount', 'require_approval', 'money moves, and no amount is to be seen', 'amounts(args).size() == 0'),
        ...of('negative', 'deny', 'the amount is negative', 'amounts(args).exists(a, a < 0.0)'),
        rule(
          'payee',
          'require_approval',
          ANY_TOOL,
          'the call changes where money goes',
          `named(tool, ${CHANGES}) && named(tool, ${PAYEES})`,
          `named(tool, ${LOOKS})`,
        ),
      ];
    },
  },
  {
    ask_over: z.number().min(0).max(MAX_AMOUNT).optional().describe('amounts above it ask; 0 when absent'),
    deny_over: z.number().min(0).max(MAX_AMOUNT).optional().describe('amounts above it are denied; none when absent'),
    tools: optionTexts.optional().describe('patterns of tools that move money, beside those that are recognised'),
  },
);

export function paymentsPack(options: PaymentsOptions = {}): Policy {
  return packPolicy(payments, options);
}

const MOVES = `named(tool, ${celList('transfer refund payout payouts payment pay charge wire withdraw withdrawal remit purchase buy checkout donate disburse credit tip trade swap'.split(' '))}) || named(tool, ["send"]) && named(tool, ${celList(['money', 'funds', 'sol', 'eth', 'btc', 'transaction', 'crypto'])}) || payees(args).size() > 0 && amounts(args).size() > 0`;
const CHANGES = celList(['add', 'create', 'update', 'set', 'change', 'replace', 'edit']);
const PAYEES = celList(['payee', 'beneficiary', 'bank', 'iban', 'recipient', 'payout']);

function double(amount: number): string {
  return Number.isInteger(amount) ? `${amount}.0` : String(amount);
}

function rule(
  id: string,
  effect: 'deny' | 'require_approval',
  tools: readonly string[],
  reason: string,
  when: string,
  unless?: string,
): Rule {
  const code = `PAYMENTS_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `payments.${id}`, tools, when, ...(unless !== undefined && { unless }), effect, reason, reason_code: code };
}
