/**
 * The last head seen of each ledger on this machine, kept in the user's state directory: outside the ledger's folder, so
 * that putting an old copy back, or cutting the tail, is noticed when the ledger is opened.
 *
 * Not evidence against someone who also edits this file; `verify --against` and anchors are.
 */
import { hash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';

const headSchema: z.ZodType<KnownHead> = z.strictObject({
  path: z.string(),
  ledger: z.string(),
  size: z.int().nonnegative(),
  root: z.string().regex(/^[0-9a-f]{64}$/),
});

export interface KnownHead {
  readonly path: string;
  /** The ledger's random identity, so that another ledger at the same path is noticed too. */
  readonly ledger: string;
  readonly size: number;
  readonly root: string;
}

export class KnownHeads {
  private readonly directory: string;
  private readonly file: string;
  private readonly path: string;

  /** @param directory - default `$COUNTERSIGN_STATE_DIR`, else `$XDG_STATE_HOME/countersign`, else `~/.local/state/countersign`. */
  constructor(ledgerPath: string, directory: string = stateDirectory()) {
    this.path = resolve(ledgerPath);
    this.directory = join(directory, 'heads');
    this.file = join(this.directory, `${hash('sha256', this.path)}.json`);
  }

  get location(): string {
    return this.file;
  }

  read(): KnownHead | undefined {
    let text: string;
    try {
      text = readFileSync(this.file, 'utf8');
    } catch {
      return undefined;
    }
    const parsed = headSchema.safeParse(safeJson(text));
    return parsed.success ? parsed.data : undefined;
  }

  /** Remembers a head. Best effort: the ledger itself is durable without it. */
  write(head: Omit<KnownHead, 'path'>): void {
    // A writer that was idle while others wrote must not turn the head back.
    const known = this.read();
    if (known?.ledger === head.ledger && known.size >= head.size) return;
    try {
      mkdirSync(this.directory, { recursive: true, mode: 0o700 });
      const temporary = `${this.file}.${process.pid}`;
      writeFileSync(temporary, JSON.stringify({ path: this.path, ...head }), { mode: 0o600 });
      renameSync(temporary, this.file);
    } catch {
      // A read-only home must not stop the guard; `doctor` reports it.
    }
  }
}

export function stateDirectory(env: NodeJS.ProcessEnv = process.env): string {
  const own = env['COUNTERSIGN_STATE_DIR'];
  if (own !== undefined && own !== '') return own;
  const base = env['XDG_STATE_HOME'];
  return join(base !== undefined && base !== '' ? base : join(homedir(), '.local', 'state'), 'countersign');
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
