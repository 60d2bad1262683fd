/** From `countersign.yaml` to a store and a guard: what every entry point (adapter, proxy, command line) composes alike. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { commandAnchor } from '../anchor/command-anchor.ts';
import { fileAnchor } from '../anchor/file-anchor.ts';
import type { AnchorOptions } from '../anchor/publisher.ts';
import { terminalChannel } from '../approval/terminal.ts';
import { fileAuditSink } from '../audit-log/file-sink.ts';
import type { AnchorConfig, Config, TimestampConfig, WitnessConfig } from '../config/config.ts';
import { configuredSecrets } from '../config/decision-point.ts';
import { loadConfig } from '../config/load.ts';
import { CountersignError } from '../errors.ts';
import { createGuard } from '../guard.ts';
import type { Guard, GuardOptions } from '../guard-types.ts';
import type { Anchor, Channel } from '../interfaces.ts';
import { tailMarkingSigner } from '../ledger/deferred-signer.ts';
import { readSigner } from '../ledger/keys.ts';
import { createRedactor } from '../redact/redact.ts';
import { announced } from './announced.ts';
import type { SqliteStoreOptions } from './options.ts';
import { openStore, type SqliteStore } from './store.ts';

/**
 * Opens the ledger a configuration names.
 *
 * @param options.passphrase - of the ledger key, when it has one.
 * @param options.signNow - sign every commit also where the configuration says `interval`: for commands that write once and
 *   end. What others have not signed yet is told of in an entry, and signed over.
 * @param options.onError - told when signing or copying in the background fails; default: a warning of the process.
 * @param options.witness - makes the anchor of a configured witness: `witnessAnchor` of `@countersign/connect`. Nothing here
 *   opens a socket.
 * @param options.timestamp - the same of a configured timestamp authority: `timestampAnchor`.
 * @throws {CountersignError} `KEY_*`, `LEDGER_*`; `OPTIONS_INVALID` when one of them is configured and cannot be made.
 */
export function storeFromConfig(config: Config, options: ConfiguredStoreOptions = {}): SqliteStore {
  const { path, origin, mirror, writer } = config.ledger;
  const { passphrase = passphraseFromEnvironment(), signNow = false, onError = warn, witness, timestamp, ...storeOptions } = options;
  return announced(path, () => {
    const signer = signerOf(config, passphrase, { signNow, onError });
    const anchors = anchorsOf(config, { witness, timestamp, onError });
    return openStore({
      ...(anchors !== undefined && { anchors }),
      ...storeOptions,
      ...(mirror !== undefined && { mirror: { path: mirror } }),
      path,
      origin,
      signer,
      onError,
      writer: signNow ? 'inline' : writer,
      files: [config.ledger.key, passphraseFile(), ...retiredKeys(config), ...anchorFiles(config)].flatMap((file) => file ?? []),
    });
  });
}

export interface ConfiguredStoreOptions extends Pick<SqliteStoreOptions, 'create' | 'stateDirectory' | 'queue' | 'client'> {
  readonly passphrase?: string;
  readonly signNow?: boolean;
  readonly onError?: (error: Error) => void;
  readonly witness?: (configured: WitnessConfig) => Anchor;
  readonly timestamp?: (configured: TimestampConfig) => Anchor;
}

type Signing = Required<Pick<ConfiguredStoreOptions, 'signNow' | 'onError'>>;

function signerOf({ ledger }: Config, passphrase: string | undefined, { signNow, onError }: Signing): SqliteStoreOptions['signer'] {
  const { key, origin, sign, signEveryMs, signMaxLagMs } = ledger;
  if (sign === 'none' || key === undefined) return 'none';
  const signer = readSigner(key, origin, passphrase);
  if (sign === 'commit') return signer;
  if (signNow) return tailMarkingSigner(signer);
  return {
    remote: signer,
    ...(signEveryMs !== undefined && { everyMs: signEveryMs }),
    ...(signMaxLagMs !== undefined && { maxLagMs: signMaxLagMs }),
    onError,
  };
}

function anchorsOf({ ledger }: Config, { onError, ...making }: Anchoring): AnchorOptions | undefined {
  const { anchors, anchorEveryMs, anchorRequired } = ledger;
  if (anchors.length === 0) return undefined;
  return {
    anchors: anchors.map((anchor) => anchorOf(anchor, making)),
    ...(anchorEveryMs !== undefined && { everyMs: anchorEveryMs }),
    ...(anchorRequired !== undefined && { required: anchorRequired }),
    onError: (error, anchor) => onError(new Error(`anchor ${anchor}: ${error.message}`, { cause: error })),
  };
}

/** Keys that `rotate-key` left beside the one in use: who has one can still sign another beginning of the log. */
function retiredKeys({ ledger: { key } }: Config): readonly string[] {
  if (key === undefined) return [];
  const folder = dirname(key);
  try {
    return readdirSync(folder).flatMap((name) => (name.startsWith(`${basename(key)}.retired-`) ? [join(folder, name)] : []));
  } catch {
    // A folder that cannot be listed.
    return [];
  }
}

interface Anchoring {
  readonly witness: ConfiguredStoreOptions['witness'] | undefined;
  readonly timestamp: ConfiguredStoreOptions['timestamp'] | undefined;
  readonly onError: (error: Error) => void;
}

function anchorOf(anchor: AnchorConfig, { witness, timestamp }: Omit<Anchoring, 'onError'>): Anchor {
  if ('file' in anchor) return fileAnchor(anchor.file);
  if ('command' in anchor) return commandAnchor(anchor.command);
  if ('rfc3161' in anchor) {
    if (timestamp === undefined) throw unaskable('a timestamp authority', 'timestamp: timestampAnchor');
    return timestamp(anchor.rfc3161);
  }
  if (witness === undefined) throw unaskable('a witness', 'witness: witnessAnchor');
  return witness(anchor.witness);
}

function unaskable(what: string, option: string): CountersignError {
  return new CountersignError(
    'OPTIONS_INVALID',
    `ledger.anchors names ${what}, and nothing here can ask one: pass \`${option}\` of @countersign/connect where the store is opened`,
  );
}

/** An agent that writes to them could make a rollback look like none, or let an authority of its own tell the time. */
function anchorFiles({ ledger }: Config): readonly string[] {
  return ledger.anchors.flatMap((anchor) => ('file' in anchor ? [anchor.file] : 'rfc3161' in anchor ? [anchor.rfc3161.certificates] : []));
}

function warn(error: Error): void {
  process.emitWarning(error.message, 'CountersignWarning');
}

const MAX_PASSPHRASE_FILE_BYTES = 65_536;

/** `COUNTERSIGN_PASSPHRASE_FILE`: a file whose first line opens the ledger key. The passphrase itself is never in the environment. */
function passphraseFile(): string | undefined {
  const file = process.env['COUNTERSIGN_PASSPHRASE_FILE'];
  return file === undefined || file === '' ? undefined : file;
}

function passphraseFromEnvironment(): string | undefined {
  const file = passphraseFile();
  if (file === undefined) return undefined;
  try {
    if (statSync(file).size > MAX_PASSPHRASE_FILE_BYTES) throw new RangeError('larger than a passphrase file may be');
    return readFileSync(file, 'utf8').split(/\r?\n/, 1)[0];
  } catch (cause) {
    throw new CountersignError('KEY_INVALID', 'COUNTERSIGN_PASSPHRASE_FILE names a file that cannot be read', { cause });
  }
}

/**
 * A guard as the configuration describes it, on a store that is already open. `more` adds what YAML cannot say.
 *
 * @throws {CountersignError} `OPTIONS_INVALID`, also when a webhook or Slack is configured and `more.channels` does not bring
 *   its channel: `configuredChannels` of `@countersign/connect` makes them; whoever only answers passes none by `channels: []`.
 *   Likewise when a decision point is configured and `more.policy` does not bring it: `configuredPolicy` makes that.
 */
export function guardFromConfig(config: Config, store: GuardOptions['store'], more: Partial<GuardOptions> = {}): Guard {
  if (config.authzen !== undefined && more.policy === undefined) throw unasked();
  return createGuard({
    agent: config.agent,
    mode: config.mode,
    pins: config.mcp.pins,
    policy: config.policy,
    budgets: config.budgets,
    redactor: createRedactor(config.redaction),
    maskResults: config.redaction.results,
    approvals: {
      ttlMs: config.approvals.ttlMs,
      maxTtlMs: config.approvals.maxTtlMs,
      maxGrantTtlMs: config.approvals.maxGrantTtlMs,
      approvers: config.approvers,
    },
    channels: more.channels ?? ownChannels(config),
    ...more,
    roots: more.roots ?? config.roots,
    audit: [...(config.ledger.auditLog === undefined ? [] : [fileAuditSink(config.ledger.auditLog)]), ...(more.audit ?? [])],
    store,
    protectedPaths: [
      ...(config.path === undefined ? [] : [config.path]),
      ...config.policyFiles,
      ...secretFiles(config),
      config.monitor.log.dir,
      ...(more.protectedPaths ?? []),
    ],
  });
}

/** Configuration file → guard, the shortest way in. Close the guard, then its store. `storeOptions`: see `storeFromConfig`. */
export function openGuard(
  configPath: string,
  more: Partial<GuardOptions> = {},
  storeOptions: ConfiguredStoreOptions = {},
): { readonly guard: Guard; readonly store: SqliteStore; readonly config: Config } {
  const config = loadConfig(configPath, { env: process.env });
  const store = storeFromConfig(config, storeOptions);
  return { guard: guardFromConfig(config, store, more), store, config };
}

/** Nothing here opens a socket, and a channel that is configured but never asked would leave people waiting for nothing. */
function ownChannels(config: Config): readonly Channel[] {
  if (config.approvals.channels.some((channel) => typeof channel === 'object'))
    throw new CountersignError(
      'OPTIONS_INVALID',
      'approvals.channels names a webhook or slack, and nothing here can ask it: pass `configuredChannels(config).channels` of @countersign/connect where the guard is made',
    );
  return canPrompt(config) ? [terminalChannel()] : [];
}

/** Rules alone would let run what the decision point was put there to stop. */
function unasked(): CountersignError {
  return new CountersignError(
    'OPTIONS_INVALID',
    'policy.authzen names a decision point, and nothing here can ask it: pass `policy: configuredPolicy(config)` of @countersign/connect where the guard is made',
  );
}

/** An agent that reads them could answer for the people it asks, or ask in the name of another. Nor may it lay its own socket where ours is. */
function secretFiles(config: Config): readonly string[] {
  const files = configuredSecrets(config).flatMap((source) => ('file' in source ? [source.file] : []));
  return config.serve.socket === undefined ? files : [...files, config.serve.socket];
}

/** A prompt needs a person at this process' own terminal. Without one, approvals wait for an approver elsewhere. */
function canPrompt(config: Config): boolean {
  return config.approvals.channels.includes('terminal') && process.stdin.isTTY === true && process.stderr.isTTY === true;
}
