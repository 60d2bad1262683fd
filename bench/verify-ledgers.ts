/**
 * Large ledgers for the benches of verification, written in one transaction: what a guard would have recorded of one
 * allowed call a second and its outcome, about 630 bytes an entry. Signing is left out: one signature covers them all.
 */
import Sqlite from 'better-sqlite3';
import { entryText } from '../packages/core/src/ledger/body.ts';
import { canonicalize } from '../packages/core/src/ledger/canonical.ts';
import { formatCheckpoint } from '../packages/core/src/ledger/checkpoint.ts';
import { commitSection, newOpeningKey } from '../packages/core/src/ledger/commitment.ts';
import type { EntryBody } from '../packages/core/src/ledger/entry.ts';
import { leafHash } from '../packages/core/src/ledger/merkle.ts';
import { TileTree } from '../packages/core/src/ledger/tiles.ts';
import { policyHash } from '../packages/core/src/policy/hash.ts';
import { createSchema } from '../packages/core/src/sqlite/schema.ts';
import { AGENT, ARGS, DECISION, RESULT, SESSION } from './calls.ts';
import { freshPath, ORIGIN } from './fixtures.ts';

const WRITER = 'a0'.repeat(16);
const DOCUMENT = '{"id":"bench","kind":"rules","rules":[]}';
const POLICY = { id: 'bench', version: '1', hash: policyHash(DOCUMENT) };
const MICRO = 1_000_000;
const WINDOW_SECONDS = 3600;
const LIMIT = 10_000 * MICRO;
/** Commits to what nobody shows. */
const WITHHELD = 'e'.repeat(64);
const STARTED_AT = Date.UTC(2026, 0, 1);

export interface LargeLedger {
  readonly path: string;
  /** Checkpoint text at the size asked for. */
  readonly since: string;
  readonly bytes: number;
}

/**
 * @param entries - of an even number of entries all but two are decisions and their outcomes.
 * @param options.openings - the clear arguments and results lie beside the entries, as a guard leaves them.
 * @param options.since - size whose checkpoint is handed out.
 */
export function largeLedger(entries: number, options: { readonly openings: boolean; readonly since?: number }): LargeLedger {
  const path = freshPath('large.db');
  const database = new Sqlite(path);
  database.pragma('journal_mode = WAL');
  database.pragma('synchronous = OFF');
  database.exec('BEGIN');
  createSchema(database);
  for (const [key, value] of Object.entries({ format: 'countersign-1', ledger: '1'.repeat(32), origin: ORIGIN, secret: '2'.repeat(64) }))
    database.prepare('INSERT INTO meta VALUES (?, ?)').run(key, value);
  const insert = database.prepare('INSERT INTO entries (seq, leaf, body) VALUES (?, ?, ?)');
  const open = database.prepare('INSERT INTO openings (seq, key, sections) VALUES (?, ?, ?)');
  const tree = TileTree.empty({ tile: () => undefined });
  let since = '';
  let bytes = 0;
  let last = { of: 0, leaf: '' };
  const append = (body: EntryBody, atMs: number): void => {
    const text = entryText(body, { atMs, writer: WRITER });
    last = { of: tree.size, leaf: leafHash(text) };
    insert.run(last.of, last.leaf, text);
    bytes += text.length;
    tree.push(last.leaf);
    if (tree.size === options.since) since = head(tree);
  };
  append({ kind: 'policy', policy: POLICY, document: DOCUMENT }, STARTED_AT);
  append({ kind: 'session', agent: AGENT, session: SESSION, event: 'start', coverage: 'none' }, STARTED_AT);
  for (let i = 0; tree.size < entries; i++) {
    const at = STARTED_AT + i * 1000;
    const key = options.openings ? newOpeningKey() : '';
    const call = i.toString(16).padStart(32, '0');
    append(
      {
        ...DECISION,
        call,
        policy: POLICY,
        principal: 'ada@example.com',
        args_commit: options.openings ? commitSection(key, 'args', ARGS) : WITHHELD,
        budgets: [
          {
            id: 'calls-per-hour',
            per: 'agent',
            key: AGENT,
            cost: MICRO,
            limit: LIMIT,
            window_ms: WINDOW_SECONDS * 1000,
            left: LIMIT - MICRO * (Math.min(i, WINDOW_SECONDS - 1) + 1),
          },
        ],
      },
      at,
    );
    if (options.openings) open.run(last.of, key, canonicalize({ args: ARGS }));
    const resultKey = options.openings ? newOpeningKey() : '';
    append(
      {
        kind: 'outcome',
        agent: AGENT,
        session: SESSION,
        call,
        decision: last,
        status: 'success',
        duration_ms: 12 + (i % 90),
        result_commit: options.openings ? commitSection(resultKey, 'result', RESULT) : WITHHELD,
        resources: { cpu_ms: 12.5 + (i % 7), rss_bytes: 104_857_600 + i, samples: 2, scope: 'process' },
      },
      at + 12,
    );
    if (options.openings) open.run(last.of, resultKey, canonicalize({ result: RESULT }));
  }
  const tile = database.prepare('INSERT INTO tiles (level, idx, hashes, root) VALUES (?, ?, ?, ?)');
  for (const { level, index, hashes, root } of tree.takeFullTiles()) tile.run(level, index, Buffer.from(hashes, 'hex'), root);
  database.prepare('INSERT INTO checkpoints VALUES (?, ?, NULL)').run(tree.size, head(tree));
  database.exec('COMMIT');
  database.close();
  return { path, since, bytes };
}

function head(tree: TileTree): string {
  return formatCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root() });
}
