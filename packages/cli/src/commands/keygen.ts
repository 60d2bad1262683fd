import { mkdirSync } from 'node:fs';
import { basename, dirname, extname, resolve } from 'node:path';
import { CountersignError, generateKey, writeKeyFile } from '@countersign/core';
import type { Command, Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { askPassphrase, canAsk, passphraseFromFile } from '../passphrase.ts';

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a signing key, for a ledger or for an approver',
  positionals: [],
  options: [
    { name: 'out', kind: 'text', value: 'FILE', about: 'where the private key goes; FILE.pub gets the verifier line' },
    {
      name: 'name',
      kind: 'text',
      value: 'NAME',
      about: "in the verifier line; default FILE's name, for a ledger's key its origin",
    },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'encrypts the key with the first line of F; asked for on a terminal' },
  ],
  notes: [
    'Prints the verifier line. For an approver it belongs under `approvers` in countersign.yaml, and the key should have a passphrase: whoever can read the file could answer otherwise. A key of the ledger has none, since guards start without a person. Existing files are never overwritten.',
  ],
  example: 'countersign keygen --out ~/keys/finance.key --name finance',
  async run(invocation) {
    const { io, output, flags } = invocation;
    const out = flags.text('out');
    if (out === undefined) throw new UsageError('keygen needs --out FILE', 'for example: countersign keygen --out finance.key');
    const path = resolve(io.cwd, out);
    const name = flags.text('name') ?? defaultName(path, invocation);
    const passphrase = await passphraseOf(invocation);
    const { privatePem, vkey } = generateKey(name, passphrase);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeKeyFile(path, privatePem, vkey);
    const encrypted = passphrase !== undefined;
    output.result({ key: path, public_key: `${path}.pub`, vkey, encrypted });
    output.line(safe(vkey));
    output.note(`written to ${safe(path)} (mode 600, ${encrypted ? 'encrypted' : 'NOT encrypted'}) and ${safe(path)}.pub`);
    return EXIT.OK;
  },
};

/** The verifier line of a ledger's key carries the ledger's origin; any other key is named after its file. */
function defaultName(path: string, invocation: Invocation): string {
  try {
    const { key, origin } = configOf(invocation).ledger;
    if (key === path) return origin;
  } catch (error) {
    if (invocation.flags.on('config') || !CountersignError.is(error)) throw error;
    // No configuration here: then this is no ledger key of one.
  }
  return basename(path, extname(path));
}

async function passphraseOf({ io, flags }: Invocation): Promise<string | undefined> {
  const file = flags.text('passphrase-file');
  if (file !== undefined) return passphraseFromFile(file, io.cwd);
  if (!canAsk(io)) return undefined;
  const first = await askPassphrase('passphrase (empty for a key without): ', io);
  if (first === '') return undefined;
  const second = await askPassphrase('once more: ', io);
  if (first !== second) throw new UsageError('the two passphrases differ', 'run the command again');
  return first;
}
