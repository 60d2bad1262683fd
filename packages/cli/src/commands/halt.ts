/**
 * Stops an agent's calls now: `countersign halt`. Nobody is asked and no key is needed, since this only ever takes away; `resume` asks
 * for more. The transaction that would allow a call looks at it, in whatever process.
 */
import { monitorHost } from '@countersign/core';
import type { Command } from '../command.ts';
import { configOf, hasConfig } from '../configuration.ts';
import { configuredOrWatching } from '../configured.ts';
import { EXIT } from '../exit-codes.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';

export const halt: Command = {
  name: 'halt',
  summary: 'stop now: every call of every session, or of one, is refused until `resume`',
  positionals: [{ name: 'session', required: false }],
  options: [],
  notes: [
    'Counts for every guard, proxy and hook on this ledger, those to come included, from the moment it is on record. Needs no key. A call that runs already is not ended, and processes are not touched: end what `countersign run` started with Ctrl-C there, or by two SIGTERM to it.',
    'To let calls through again: `countersign resume --all`, or `countersign resume SESSION`.',
  ],
  example: 'countersign halt',
  async run(invocation) {
    const { io, output, positionals } = invocation;
    const config = hasConfig(invocation)
      ? configOf(invocation)
      : configuredOrWatching(invocation, io.env, { audit: 'CALLS ARE REFUSED ALL THE SAME', otherwise: 'rules are the built-in ones' });
    const [session] = positionals;
    const store = openConfigured(config, { create: false, signNow: true });
    try {
      await monitorHost({ store, agent: config.agent }).halt(session, 'OPERATOR_HALT');
      // Read afterwards: to stop comes first, and a name nobody knows may be one that is to come.
      const isKnown = session === undefined || (await store.sessionCalls(session)).length > 0;
      output.result({ session: session ?? null, halted: true, known: isKnown, ledger: config.ledger.path });
      const whose = session === undefined ? 'every session' : `session ${safe(session)}`;
      output.line(`halted: calls of ${whose} are refused, ledger ${safe(config.ledger.path)}`);
      if (!isKnown)
        output.note('countersign: no call of that session was ever allowed: is it the name? Without a name every session is halted');
      output.line(`to let them through again: countersign resume ${session === undefined ? '--all' : safe(session)}`);
    } finally {
      await store.close();
    }
    return EXIT.OK;
  },
};
