import { CountersignError } from '@countersign/core';
import { type Forgotten, forgetClearText, readLedger } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { callId, entryNumber } from '../receipt-target.ts';

const REASON_CODE = /^[A-Z][A-Z0-9_]{0,63}$/;
/** What no command can reach. */
const OUT_OF_REACH = [
  'exports, receipts and backups that were made before',
  'what running guards hold in memory',
  'what the file system or the disk keeps of overwritten files',
];

export const forget: Command = {
  name: 'forget',
  summary: 'erase clear text from the ledger, on record',
  positionals: [],
  options: [
    { name: 'call', kind: 'texts', value: 'ID', about: 'everything of this call: ask, answers, decisions, outcome; may be repeated' },
    { name: 'entry', kind: 'texts', value: 'N', about: 'this entry alone, by its number from 1; may be repeated' },
    { name: 'session', kind: 'texts', value: 'S', about: 'everything of all calls of this session; may be repeated' },
    { name: 'reason-code', kind: 'text', value: 'CODE', about: 'why, like ERASURE_REQUEST; stays in the ledger' },
  ],
  notes: [
    'Erases arguments, reasons, messages, results and error texts with the keys that salt their commitments, from the configured ledger and its audit log, and appends a signed `forget` entry. Entries and tree stay, and `verify` says what was forgotten. The file is written anew, which takes as long as copying it: writers wait meanwhile.',
    'Refused for a call that waits for an approval or still runs, and from inside a guarded process tree. Amounts charged to budgets, tool names and reason codes are evidence and stay.',
    'Exit 1 when readers held old pages all the time: erased and recorded, but still in the file; run it again.',
  ],
  example: 'countersign forget --call 019b0c5e3f9a1c0d7b2e4f6a8c1d3e5f --reason-code ERASURE_REQUEST',
  async run({ io, output, flags }) {
    const calls = flags.texts('call').map(callId);
    const entries = flags.texts('entry').map((number) => entryNumber(number) - 1);
    const sessions = flags.texts('session');
    if (calls.length + entries.length + sessions.length === 0)
      throw new UsageError('forget needs --call, --entry or --session', 'run `countersign filter` to see the calls');
    const reasonCode = flags.text('reason-code');
    if (reasonCode !== undefined && !REASON_CODE.test(reasonCode))
      throw new UsageError('--reason-code must be capital letters, digits and _', 'for example: --reason-code ERASURE_REQUEST');
    const config = configOf({ io, flags });
    const { path, auditLog } = config.ledger;
    const reader = readLedger(path);
    try {
      refuseInsideGuard(io.env, reader.liveWriterPids(), agentRefused);
    } finally {
      reader.close();
    }
    const store = openConfigured(config, { create: false });
    let forgotten: Forgotten;
    try {
      forgotten = await forgetClearText(store, {
        calls,
        entries,
        sessions,
        ...(reasonCode !== undefined && { reasonCode }),
        ...(auditLog !== undefined && { auditLog: auditLog.path }),
      });
    } finally {
      await store.close();
    }
    output.result({
      entries: forgotten.entries.map(({ of }) => of + 1),
      recorded: forgotten.recorded.map(({ of }) => of + 1),
      calls: forgotten.calls,
      audit_lines: forgotten.auditLines,
      file: forgotten.file,
      log: forgotten.log,
      complete: forgotten.isComplete,
      out_of_reach: OUT_OF_REACH,
    });
    for (const line of lines(forgotten)) output.line(line);
    return forgotten.isComplete ? EXIT.OK : EXIT.FAILED;
  },
};

function lines({ entries, recorded, auditLines, isComplete }: Forgotten): readonly string[] {
  const shown = recorded.map(({ of }) => of + 1).join(', ');
  return [
    `forgotten: the clear text of ${entries.length} entries, recorded in entry ${safe(shown)}`,
    ...(auditLines > 0 ? [`  audit log  ${auditLines} lines were cleared`] : []),
    isComplete
      ? '  files      the ledger was written anew, its write-ahead log is empty'
      : '  files      NOT CLEAN: readers hold old pages, which are still in the file or its -wal; run the command again once they are gone',
    `  not reached: ${OUT_OF_REACH.join('; ')}`,
  ];
}

function agentRefused(why: string): CountersignError {
  return new CountersignError('FORGET_REFUSED', `${why}: clear text is erased from outside; use a terminal the agent did not start`);
}
