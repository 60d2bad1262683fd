import { resolve } from 'node:path';
import {
  type Bundle,
  type BundleTrust,
  CountersignError,
  countersignBundle,
  DURATION_HINT,
  type Effect,
  loadPolicyFile,
  looksLikeBundle,
  openBundle,
  parseDuration,
  parseVerifierKey,
  readBundle,
  readSigner,
  type Signer,
  signBundle,
} from '@countersign/core';
import type { Command, Invocation } from '../command.ts';
import { publicKeys } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { safe } from '../output.ts';
import { passphraseFor } from '../passphrase.ts';
import { policyFile } from '../policy-file.ts';
import { readSmallFile } from '../read-small-file.ts';
import { writeWhole } from '../write-whole.ts';

export const policySign: Command = {
  name: 'policy sign',
  summary: 'sign a policy, so that guards take no other',
  positionals: [{ name: 'file', required: true }],
  options: [
    { name: 'key', kind: 'text', value: 'FILE', about: 'private key; its verifier line is read from FILE.pub' },
    { name: 'as', kind: 'text', value: 'NAME', about: 'name in the verifier line, when FILE.pub is not there' },
    { name: 'passphrase-file', kind: 'text', value: 'F', about: 'opens the key; asked for on a terminal' },
    { name: 'out', kind: 'text', value: 'FILE', about: 'where the bundle goes' },
    { name: 'serial', kind: 'text', value: 'N', about: 'higher than in every bundle before; default: seconds since 1970' },
    { name: 'expires', kind: 'text', value: 'D', about: 'how long it is good for, such as 90d; for ever when absent' },
    { name: 'force', kind: 'switch', about: 'replace the file that --out names' },
    { name: 'verify', kind: 'switch', about: 'sign nothing: check the bundle FILE against --public-key' },
    { name: 'public-key', kind: 'texts', value: 'KEY', about: 'with --verify: a verifier line, or a file of them' },
    { name: 'threshold', kind: 'text', value: 'N', about: 'with --verify: how many of the keys must have signed; default 1' },
  ],
  notes: [
    'FILE is a configuration, a file that holds what stands under `policy:` alone, or a bundle that gets one signature more. The bundle holds in full what is enforced, rules of packs and files of Cedar included. What stands outside of `policy:` is not signed.',
    'Guards take it with `policy: { bundle: FILE, keys: [VERIFIER LINE] }`. Whoever can change that file can take the keys away: keep it out of the reach of the agent, and of whoever may not decide.',
    '--verify exits 1 for a bundle that is not good.',
  ],
  example: 'countersign policy sign policy.yaml --key ana.key --out policy.bundle --expires 90d',
  run: async (invocation) => (invocation.flags.on('verify') ? verifyBundle(invocation) : sign(invocation)),
};

async function sign(invocation: Invocation): Promise<number> {
  const { io, output, flags } = invocation;
  const [key, out] = [flags.text('key'), flags.text('out')];
  if (key === undefined || out === undefined)
    throw new UsageError(
      'policy sign needs --key FILE and --out FILE',
      'for example: countersign policy sign policy.yaml --key ana.key --out policy.bundle',
    );
  const { path, shown } = policyFile(invocation);
  const text = readSmallFile(path, io.cwd, 'FILE');
  const signer = await signerOf(resolve(io.cwd, key), invocation);
  const note = looksLikeBundle(text) ? countersignBundle(text, signer) : signBundle(bundleFrom(path, shown, invocation), [signer]);
  if (note === text) throw new UsageError(`${shown}: ${signer.vkey} has signed it already`, 'a further signature needs another key');
  const target = resolve(io.cwd, out);
  await writeWhole(target, [note], flags.on('force'));
  const bundle = readBundle(note);
  output.result({ bundle: target, ...factsOf(bundle), vkey: signer.vkey });
  output.line(`${nameOf(bundle)} signed by ${safe(signer.vkey)}`);
  if (defaultOf(bundle) === 'allow')
    output.note('what no rule in it matches is ALLOWED, in every mode: `default: deny` in the policy that is signed changes that');
  output.note(`written to ${safe(target)}`);
  return EXIT.OK;
}

function bundleFrom(path: string, shown: string, { flags }: Invocation): Bundle {
  const config = loadPolicyFile(path);
  if (config.policyMembers.length === 0)
    throw new UsageError(`${shown}: the policy in it is a signed bundle already`, 'sign that file to add a signature');
  if (config.authzen !== undefined)
    throw new UsageError(
      `${shown}: policy.authzen is no part of a bundle`,
      'take it out, and put it beside the bundle in the configuration',
    );
  const now = Date.now();
  const { id, version } = config.policy;
  const expires = flags.text('expires');
  const lastsMs = expires === undefined ? undefined : parseDuration(expires);
  if (expires !== undefined && lastsMs === undefined) throw new UsageError(`--expires: ${DURATION_HINT}`, 'for example: --expires 90d');
  return {
    id: config.policyMembers.length === 1 ? id : config.policyDefinition.id,
    ...(version !== undefined && { version }),
    serial: serialOf(flags.text('serial'), now),
    issued_at: now,
    ...(lastsMs !== undefined && { expires_at: now + lastsMs }),
    members: config.policyMembers,
  };
}

/** Rules of packs alone allow what they do not mention where the configuration only watches, and they are signed as they are. */
function defaultOf({ members }: Bundle): Effect {
  const defaults = members.map((member) => (member.kind === 'rules' ? member.definition.default : member.default) ?? 'deny');
  return defaults.every((each) => each === 'allow') ? 'allow' : 'deny';
}

function serialOf(given: string | undefined, nowMs: number): number {
  if (given === undefined) return Math.floor(nowMs / 1000);
  const serial = /^\d{1,16}$/.test(given) ? Number(given) : Number.NaN;
  if (Number.isSafeInteger(serial) && serial >= 1) return serial;
  throw new UsageError('--serial must be a whole number from 1 on', 'leave it out to use the time');
}

async function signerOf(path: string, invocation: Invocation): Promise<Signer> {
  const { io, flags } = invocation;
  const name = flags.text('as') ?? nameBeside(path, io.cwd);
  return readSigner(path, name, await passphraseFor(path, 'passphrase-file', invocation));
}

function nameBeside(path: string, cwd: string): string {
  let line: string;
  try {
    line = readSmallFile(`${path}.pub`, cwd, '--key').trim();
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(`${path}.pub cannot be read`, 'name the key with --as, as it is named in its verifier line');
  }
  return parseVerifierKey(line).name;
}

function verifyBundle({ io, output, flags, positionals }: Invocation): number {
  const note = readSmallFile(positionals[0] ?? '', io.cwd, 'FILE');
  const keys = flags.texts('public-key').flatMap((key) => publicKeys(key, io.cwd));
  if (keys.length === 0) throw new UsageError('--verify needs --public-key', 'name the keys of those whose signature counts');
  const threshold = flags.text('threshold');
  const trust: BundleTrust = {
    keys: keys.map((key) => (typeof key === 'string' ? key : key.vkey)),
    ...(threshold !== undefined && { threshold: serialOf(threshold, 0) }),
  };
  try {
    const { bundle, policy, signedBy } = openBundle(note, trust, Date.now());
    output.result({ ok: true, ...factsOf(bundle), hash: policy.hash, signed_by: signedBy });
    output.line(`${nameOf(bundle)}, hash ${policy.hash.slice(0, 16)}, signed by ${signedBy.map((name) => safe(name)).join(', ')}`);
    return EXIT.OK;
  } catch (error) {
    if (!CountersignError.is(error) || !error.code.startsWith('POLICY_BUNDLE_')) throw error;
    output.result({ ok: false, code: error.code, problem: error.message });
    output.line(`${safe(error.message)} [${error.code}]`);
    return EXIT.FAILED;
  }
}

function factsOf({ id, version, serial, issued_at: issuedAt, expires_at: expiresAt }: Bundle): object {
  return {
    id,
    ...(version !== undefined && { version }),
    serial,
    issued_at: issuedAt,
    ...(expiresAt !== undefined && { expires_at: expiresAt }),
  };
}

function nameOf({ id, version, serial, expires_at: expiresAt }: Bundle): string {
  const until = expiresAt === undefined ? '' : `, good until ${new Date(expiresAt).toISOString()}`;
  return `policy ${safe(id)}${version === undefined ? '' : ` version ${safe(version)}`}, serial ${serial}${until}`;
}
