/** The program of the guide to policies, section "TypeScript". */
import { toolPolicy } from '@countersign/core';
import * as z from 'zod';

const LIMIT = 500;

export const refunds = toolPolicy({
  id: 'refunds',
  version: 'limit 500', // what the functions close over is not in the hash: this is
  tools: {
    'bank/refund': {
      args: z.strictObject({ amount: z.number().positive(), currency: z.enum(['EUR', 'USD']) }),
      evaluate({ args, session }) {
        if (session.labels.includes('untrusted')) return { effect: 'deny', reason: 'this session has read strangers’ text' };
        return args.amount <= LIMIT ? { effect: 'allow' } : { effect: 'require_approval', terms: { approvers: ['finance'] } };
      },
    },
    'files/read': {
      args: z.object({ path: z.string() }),
      evaluate: ({ args }) => ({ effect: args.path.endsWith('.csv') ? 'allow' : 'abstain' }),
    },
  },
});
