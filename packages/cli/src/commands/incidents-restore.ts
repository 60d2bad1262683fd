import { join } from 'node:path';
import { type Config, CountersignError, createRedactor, monitorHost } from '@countersign/core';
import { readLedger } from '@countersign/core/sqlite';
import { type Manifest, QUARANTINE_FOLDER, type Quarantine, quarantine, recordRestored } from '@countersign/monitor';
import type { Command } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import type { Io } from '../io.ts';
import { openConfigured } from '../open-configured.ts';
import { safe } from '../output.ts';
import { allOnRecord, type OnRecord, putAsideOnRecord, putBackAlready } from '../put-aside-on-record.ts';
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
    'The list says of each whether the ledger proves what it shows, and why not.',
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
      const manifests = await kept.list();
      const proofs = proofsOf(manifests, kept, config, io);
      const all = manifests.map((manifest, i) => ({ ...manifest, proven: false, ...proofs[i] }));
      output.result({ files: all });
      if (all.length === 0) output.line('nothing was put aside');
      else for (const line of lines(all, output.isTerminal ? output.columns : undefined, (text) => redactor.text(text))) output.line(line);
      for (const { id, why } of all) if (why !== undefined) output.line(`${id} is not proven: ${safe(why)}`);
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

interface Proof {
  /** The ledger says just this of it. */
  readonly proven: boolean;
  /** Why not. */
  readonly why?: string;
}

/** Of each whether it is what the ledger proves, as a restore would ask. Not being able to tell keeps nobody from looking. */
function proofsOf(manifests: readonly Manifest[], kept: Quarantine, config: Config | undefined, io: Io): readonly Proof[] {
  const unproven = (why: string): readonly Proof[] => manifests.map(() => ({ proven: false, why }));
  if (config === undefined) return unproven('no configuration tells which ledger has it on record: pass --config');
  const ids = manifests.map(({ id }) => id);
  try {
    const recorded = allOnRecord(config, ids, io);
    return manifests.map((manifest, i) => {
      const why = whyNot(manifest, recorded[i], kept);
      return why === undefined ? { proven: true } : { proven: false, why };
    });
  } catch (error) {
    if (!CountersignError.is(error)) throw error;
    return unproven(error.message);
  }
}

function whyNot(manifest: Manifest, recorded: OnRecord | undefined, kept: Quarantine): string | undefined {
  if (recorded === undefined) return 'the ledger was not asked';
  const { aside, back } = recorded;
  const why = 'why' in aside ? aside.why : kept.objection(manifest, aside);
  if (why !== undefined) return why;
  if (manifest.state !== 'restored') return back === undefined ? undefined : putBackAlready(back);
  return back === undefined ? 'its manifest says that it was put back, and the ledger does not' : undefined;
}

/** What was taken from an agent is not the agent's to take back. */
function refuseAgent(config: Config, env: NodeJS.ProcessEnv): void {
  const reader = readLedger(config.ledger.path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids());
  } finally {
    reader.close();
  }
}

function lines(all: readonly (Manifest & Proof)[], columns: number | undefined, redact: (text: string) => string): readonly string[] {
  const nowMs = Date.now();
  const rows = all.map(({ id, at, incident, state, proven, size, path }) => [
    id,
    `${span(nowMs - at)} ago`,
    safe(incident.slice(0, SHORT_ID_CHARS)),
    state,
    proven ? 'yes' : 'no',
    String(size),
    safe(redact(path)),
  ]);
  const titles = [
    { title: 'FILE ID' },
    { title: 'WHEN' },
    { title: 'INCIDENT' },
    { title: 'STATE' },
    { title: 'PROVEN' },
    { title: 'BYTES' },
    { title: 'PATH', minWidth: 10 },
  ];
  return tableLines(titles, rows, columns);
}
