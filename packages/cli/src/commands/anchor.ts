import { CountersignError } from '@countersign/core';
import { readLedger, type SqliteStore } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';

export const anchor: Command = {
  name: 'anchor',
  summary: 'copy the newest checkpoint to every configured anchor now',
  positionals: [],
  options: [],
  notes: [
    'Guards do this by themselves after commits, every ledger.anchor_interval. Exit 1 when a copy fails. Refused from inside a guarded process tree: with `sign: interval` it signs what guards have not signed yet.',
  ],
  example: 'countersign anchor --json',
  async run(invocation) {
    const { io, output } = invocation;
    const config = configOf(invocation);
    if (config.ledger.anchors.length === 0)
      throw new UsageError('no anchors are configured', 'name places out of reach of the agent under ledger.anchors');
    refuseInside(config.ledger.path, io.env);
    // What fails is shown below; the store need not tell it too.
    const store = openConfigured(config, { create: false, signNow: true, onError: () => undefined });
    const results = await publish(store);
    const failed = results.some(({ error }) => error !== undefined);
    output.result({
      anchors: results.map(({ anchor: name, size, error }) => ({ anchor: name, size, ...(error && { error: error.message }) })),
    });
    for (const { anchor: name, size, error } of results) {
      const state = error === undefined ? output.style('good', 'copied') : output.style('bad', 'failed');
      output.line(`${state}  ${safe(name)}: ${error === undefined ? `${size} entries` : safe(error.message)}`);
    }
    return failed ? EXIT.FAILED : EXIT.OK;
  },
};

function refuseInside(path: string, env: NodeJS.ProcessEnv): void {
  const reader = readLedger(path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids(), (why) => {
      return new CountersignError(
        'APPROVER_REFUSED',
        `${why}: checkpoints are copied from outside; use a terminal the agent did not start`,
      );
    });
  } finally {
    reader.close();
  }
}

async function publish(store: SqliteStore): ReturnType<SqliteStore['publishAnchors']> {
  try {
    return await store.publishAnchors();
  } finally {
    await store.close();
  }
}
