/**
 * What a probe hands to the processes and threads that are started below it. The scope lies in a file of a folder of its own; the
 * environment names the file and the SHA-256 of its bytes: `<digest>:<path>`. Each starter puts that in from its own memory, so a
 * process that changes its environment does so for itself, and one that changes the file makes all after it refuse everything.
 * Nobody can make it weaker for another.
 */
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RuleEngineOptions } from '../rules/engine.ts';
import type { Scope } from '../scope/scope.ts';
import { MONITOR_MODES, type MonitorMode } from '../verdict.ts';
import { originals, readBytes, writeBytes } from './originals.ts';

export interface Handover {
  readonly v: 1;
  readonly scope: Scope;
  readonly rules: Pick<RuleEngineOptions, 'workspace' | 'home' | 'tmp' | 'own' | 'hosts'>;
  readonly mode: MonitorMode;
  /** How each process tells what it saw: in a file of this folder, or by a unix socket that whoever watches listens at. */
  readonly tells: { readonly folder: string } | { readonly channel: string };
  readonly run?: string;
}

export const MAX_HANDOVER_BYTES = 4_194_304;

export interface WrittenHandover {
  /** For the environment. */
  readonly reference: string;
  readonly folder: string;
  readonly reports: string;
  remove(): void;
}

/** @param make - given the folder, what is to be handed over. */
export function writeHandover(make: (folder: string, reports: string) => Handover): WrittenHandover {
  const folder = originals.realpath(originals.mkdtempSync(join(tmpdir(), 'countersign-probe-')));
  const reports = join(folder, 'reports');
  originals.mkdirSync(reports, { mode: 0o700 });
  const path = join(folder, 'scope.json');
  const bytes = Buffer.from(JSON.stringify(make(folder, reports)));
  writeBytes(path, bytes);
  return {
    reference: `${digest(bytes)}:${path}`,
    folder,
    reports,
    remove: () => originals.rmSync(folder, { recursive: true, force: true }),
  };
}

/** @throws when it is missing, was changed, or is not what it should be; the message says which. */
export function readHandover(reference: string | undefined): Handover {
  const parts = /^([0-9a-f]{64}):(\/[^\0]+)$/.exec(reference ?? '');
  if (parts === null) throw new Error('no scope was handed over');
  const bytes = readBytes(parts[2] as string, MAX_HANDOVER_BYTES);
  if (digest(bytes) !== parts[1]) throw new Error('the scope that was handed over was changed');
  const handover = JSON.parse(bytes.toString()) as Handover;
  // The digest says that these are the bytes a probe wrote; another version of it may have.
  if (handover.v !== 1 || !MONITOR_MODES.includes(handover.mode)) throw new Error('the scope that was handed over is of another version');
  return handover;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
