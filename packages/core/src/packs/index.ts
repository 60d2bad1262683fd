/** All packs. A new one is a file beside this and a line in each list here. */
import { type BaselineOptions, baseline } from './baseline.ts';
import { type BrowserOptions, browser } from './browser.ts';
import { type DatabaseOptions, database } from './database.ts';
import { type EmailOptions, email } from './email.ts';
import { type FilesystemOptions, filesystem } from './filesystem.ts';
import { type GitOptions, git } from './git.ts';
import type { CommonOptions, Pack } from './pack.ts';
import { type PaymentsOptions, payments } from './payments.ts';
import { type ShellOptions, shell } from './shell.ts';
import { type TrifectaOptions, trifecta } from './trifecta.ts';

/** Options of each pack. */
export interface PackOptions {
  readonly baseline: BaselineOptions;
  readonly trifecta: TrifectaOptions;
  readonly filesystem: FilesystemOptions;
  readonly shell: ShellOptions;
  readonly git: GitOptions;
  readonly payments: PaymentsOptions;
  readonly email: EmailOptions;
  readonly browser: BrowserOptions;
  readonly database: DatabaseOptions;
}

export type PackName = keyof PackOptions;

export const PACKS: { readonly [Name in PackName]: Pack<PackOptions[Name]> } = {
  baseline,
  trifecta,
  filesystem,
  shell,
  git,
  payments,
  email,
  browser,
  database,
};

export const PACK_NAMES: readonly PackName[] = [
  'baseline',
  'trifecta',
  'filesystem',
  'shell',
  'git',
  'payments',
  'email',
  'browser',
  'database',
];

/** A pack as configuration names it: by name, or as an object with one key. */
export type PackDocument = PackName | { readonly [Name in PackName]?: PackOptions[Name] | undefined };

/** A pack by its name, as whoever does not know its options sees it: its own schema checks them before they reach it. */
export function packNamed(name: PackName): Pack {
  const pack: Pack<CommonOptions> = PACKS[name];
  return pack;
}
