import { join } from 'node:path';
import { type Config, CountersignError, createRedactor, monitorHost } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import { type Manifest, QUARANTINE_FOLDER, quarantine, recordRestored } from '@countersign/monitor';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { putAsideOnRecord } from '../put-aside-on-record.ts';
import { tableLines } from '../table.ts';
import { span } from '../time.ts';
import { SHORT_ID_CHARS } from '../watch/event-lines.ts';
import { LOG_DIR_OPTION, logPlace } from '../watch/log-place.ts';

export const incidentsRestore: Command = {
  name: 'incidents restore',
  summary: 'put a file back that was put aside; without an id: which there are',
  positionals: [{ name: 'file-id', required: false }],
  options: [
    { name: 'unrecorded', kind: 'switch', about: 'also when the ledger does not say that it was put aside, or from where' },
    LOG_DIR_OPTION,
  ],
  notes: [
    'It goes back where it was, with its content, mode and modification time, over nothing: what is there now has to be moved away first. The ledger records it.',
    'Where it was and what it is must be what the ledger has a hash of: the agent may have edited what lies in quarantine. With --unrecorded you say that you have looked yourself.',
  ],
  example: 'countersign incidents restore 3f9a1c20d4e5f6a7b8c9d0e1f2a3b4c5',
  async run(invocation) {
    const { io, output, positionals } = invocation;
    const { dir, config } = logPlace(invocation);
    const redactor = createRedactor(config?.redaction ?? {});
    const kept = quarantine({ folder: join(dir, QUARANTINE_FOLDER), startedAt: 0, redactor });
    const [id] = positionals;
    if (id === undefined) {
      const all = await kept.list();
      output.result({ files: all });
      if (all.length === 0) output.line('nothing was put aside');
      else for (const line of lines(all, output.isTerminal ? output.columns : undefined, (text) => redactor.text(text))) output.line(line);
      return EXIT.OK;
    }
    if (config === undefined)
      throw new CountersignError('CONFIG_NOT_FOUND', 'no configuration tells which ledger records that a file is put back: pass --config');
    refuseAgent(config, io.env);
    const store = openConfigured(config);
    try {
      const recorded = invocation.flags.on('unrecorded') ? 'unrecorded' : putAsideOnRecord(config, id, io);
      const restored = await kept.restore(id, recorded);
      const entry = await recordRestored(monitorHost({ store, agent: config.agent, redactor }), restored, recorded === 'unrecorded');
      output.result({ file: restored, entry });
      output.line(`put back: ${safe(redactor.text(restored.path))}`);
    } finally {
      await store.close();
    }
    return EXIT.OK;
  },
};

/** What was taken from an agent is not the agent's to take back. */
function refuseAgent(config: Config, env: NodeJS.ProcessEnv): void {
  const reader = readLedger(config.ledger.path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids());
  } finally {
    reader.close();
  }
}

function lines(all: readonly Manifest[], columns: number | undefined, redact: (text: string) => string): readonly string[] {
  const nowMs = Date.now();
  const rows = all.map(({ id, at, incident, state, size, path }) => [
    id,
    `${span(nowMs - at)} ago`,
    safe(incident.slice(0, SHORT_ID_CHARS)),
    state,
    String(size),
    safe(redact(path)),
  ]);
  const titles = [
    { title: 'FILE ID' },
    { title: 'WHEN' },
    { title: 'INCIDENT' },
    { title: 'STATE' },
    { title: 'BYTES' },
    { title: 'PATH', minWidth: 10 },
  ];
  return tableLines(titles, rows, columns);
}
