/**
 * Stops an agent now: `countersign halt`. Nobody is asked and no key is needed, since this only ever takes away; `resume` asks for more. The
 * transaction that would allow a call looks at it, in whatever process, and whoever watches processes follows it.
 */
import { monitorHost, OPERATOR_HALT } from '@countersign/core';
import type { Command } from '../command.ts';
import { configOf, hasConfig } from '../configuration.ts';
import { configuredOrWatching } from '../configured.ts';
import { EXIT } from '../exit-codes.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';

export const halt: Command = {
  name: 'halt',
  summary: 'stop now: calls of every session, or of one, are refused; watched agents freeze',
  positionals: [{ name: 'session', required: false }],
  options: [],
  notes: [
    'Counts for every guard, proxy and hook on this ledger, those to come included, from the moment it is on record. Needs no key. What `countersign run` and `attach` watch on this ledger freezes within about a second, in mode audit too, until a person says what becomes of it (with a session: what is watched as that session). Other processes, and a call that runs in one, are not touched.',
    'To let calls through again: `countersign resume --all`, or `countersign resume SESSION`. What is frozen stays so until it is answered for, before that or after: `countersign resume` lists it, `countersign resume ID [--kill]` answers.',
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
      await monitorHost({ store, agent: config.agent }).halt(session, OPERATOR_HALT);
      // Read afterwards: to stop comes first, and a name nobody knows may be one that is to come.
      const isKnown = session === undefined || (await store.sessionCalls(session)).length > 0;
      output.result({ session: session ?? null, halted: true, known: isKnown, ledger: config.ledger.path });
      const whose = session === undefined ? 'every session' : `session ${safe(session)}`;
      output.line(`halted: calls of ${whose} are refused, ledger ${safe(config.ledger.path)}`);
      if (!isKnown)
        output.note('countersign: no call of that session was ever allowed: is it the name? Without a name every session is halted');
      if (session === undefined)
        output.line('what `countersign run` and `attach` watch freezes within about a second: countersign resume lists it, and answers');
      output.line(`to let calls through again: countersign resume ${session === undefined ? '--all' : safe(session)}`);
    } finally {
      await store.close();
    }
    return EXIT.OK;
  },
};
