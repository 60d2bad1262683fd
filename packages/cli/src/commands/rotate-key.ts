import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { CountersignError, parseVerifierKey, readSigner, type Signer, verifyCheckpoint } from '@countersign/core';
import { readLedger, rotateKey } from '@countersign/core/sqlite';
import type { Command } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { type Output, safe } from '../output.ts';
import { passphraseFor } from '../passphrase.ts';
import { swapKeyFiles } from '../swap-key-files.ts';

export const rotateKeyCommand: Command = {
  name: 'rotate-key',
  summary: 'let another key sign the ledger from here on',
  positionals: [],
  options: [
    { name: 'new-key', kind: 'text', value: 'FILE', about: 'the new private key; it is moved to ledger.key' },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'first line opens the old key' },
    { name: 'new-passphrase-file', kind: 'text', value: 'F', about: 'first line opens the new key' },
  ],
  notes: [
    'One commit announces the new key under the old one and is signed by both; from then on the new key alone signs. The old key file is kept as FILE.retired-KEYID. When the command was interrupted, run it again. Passphrases are asked for on a terminal.',
    'Guards that still run with the old key refuse every call until they are restarted. Whoever verifies needs both keys: the printed lines say which counts until where.',
  ],
  example: 'countersign rotate-key --new-key next.key',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const given = flags.text('new-key');
    if (given === undefined)
      throw new UsageError('rotate-key needs --new-key FILE', 'make one: countersign keygen --out next.key --name ORIGIN');
    const { ledger } = configOf(invocation);
    const { key, origin, path } = ledger;
    if (key === undefined) throw new UsageError('this ledger is not signed (`sign: none`): there is no key to rotate', 'see ledger.sign');
    const newKey = resolve(io.cwd, given);
    if (newKey === key) throw new UsageError('--new-key names the key in use', 'make another one with `countersign keygen`');

    refuseInside(path, io.env);
    const signer = readSigner(key, origin, await passphraseFor(key, 'passphrase-file', invocation));
    const next = readSigner(newKey, origin, await passphraseFor(newKey, 'new-passphrase-file', invocation));
    const isSame = signer.vkey === next.vkey;
    const head =
      (isSame ? undefined : alreadyRotated(path, next)) ??
      rotateKey({ path, origin, signer, next, isInterval: ledger.sign === 'interval' });
    const swapped = swapKeyFiles({ key, newKey, oldVkey: signer.vkey, newVkey: next.vkey });

    output.result({ size: head.size, root: head.root, old: signer.vkey, new: next.vkey, ...swapped, checkpoint: head.note });
    report({ size: head.size, signer, next, key, newKey, retired: swapped.retired, output });
    return EXIT.OK;
  },
};

/** An agent that gives the ledger its own key would sign what it likes. */
function refuseInside(path: string, env: NodeJS.ProcessEnv): void {
  if (!existsSync(path)) throw new CountersignError('LEDGER_NOT_FOUND', `there is no ledger at ${path}`);
  const reader = readLedger(path);
  try {
    refuseInsideGuard(env, reader.liveWriterPids(), (why) => {
      return new CountersignError('APPROVER_REFUSED', `${why}: keys are rotated from outside; use a terminal the agent did not start`);
    });
  } finally {
    reader.close();
  }
}

/** The checkpoint of a rotation that was interrupted before the key files were swapped. */
function alreadyRotated(path: string, next: Signer): { readonly size: number; readonly root: string; readonly note: string } | undefined {
  const reader = readLedger(path);
  try {
    const head = reader.head();
    if (head === undefined) return undefined;
    verifyCheckpoint(head.note, [next.vkey]);
    return head;
  } catch (error) {
    if (CountersignError.is(error)) return undefined;
    throw error;
  } finally {
    reader.close();
  }
}

interface Done {
  readonly size: number;
  readonly signer: Signer;
  readonly next: Signer;
  readonly key: string;
  readonly newKey: string;
  readonly retired: string | undefined;
  readonly output: Output;
}

function report({ size, signer, next, key, newKey, retired, output }: Done): void {
  output.line(`rotated at entry ${size}: from here on ${safe(parseVerifierKey(next.vkey).keyId)} signs`);
  if (retired === undefined) output.line(`set ledger.key to ${safe(newKey)}: ${safe(key)} is a link and was left as it is`);
  else output.line(`${safe(key)} is the new key; the old one is kept as ${safe(retired)}`);
  output.line();
  output.line('for whoever verifies, one line each in a file for --public-key:');
  output.line(`  ${safe(signer.vkey)} until=${size}`);
  output.line(`  ${safe(next.vkey)} from=${size}`);
  output.note('restart the guards of this ledger: with the old key they refuse every call');
}
