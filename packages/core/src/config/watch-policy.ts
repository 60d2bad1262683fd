/**
 * Following the files a policy comes from: what changes in them is put in force, once it is whole and loads.
 *
 * A notification of the system makes it quick, a slow poll makes it sure: network file systems tell nothing, and a link that
 * is turned to another file changes neither.
 */
import { isDeepStrictEqual } from 'node:util';
import { CountersignError } from '../errors.ts';
import { watchFile } from '../file-watch.ts';
import type { Guard, GuardOptions, PolicyChange } from '../guard-types.ts';
import { ChangedFiles } from './changed-files.ts';
import type { Config, Environment } from './config.ts';
import { loadConfig } from './load.ts';

/** How often it looks when nothing tells of a change. */
const POLL_MS = 1000;
/** Two looks this far apart must find the same. */
const SETTLE_MS = 100;
/** After so many looks that found files moving somebody is told. Nothing is put in force until they rest. */
const MAX_MOVING = 100;

export interface WatchPolicyOptions {
  /** As it was given to `loadConfig`; `process.env` when absent. */
  readonly env?: Environment;
  /**
   * The policy of a configuration, when it is more than `config.policy`: `configuredPolicy` of `@countersign/connect`, where
   * a decision point is asked. Must be what the guard was made with.
   */
  readonly policyOf?: (config: Config) => GuardOptions['policy'];
  /** Told when another policy is in force. */
  readonly onChange?: (change: PolicyChange) => void;
  /**
   * Told of a file that does not load (`CONFIG_*`: the last policy stays in force), of a change that could not be recorded
   * (`LEDGER_*`: likewise, tried again), and of settings that changed besides, or who may sign the bundle (`CONFIG_CHANGED`: restart). Default: a warning
   * of the process.
   */
  readonly onError?: (error: Error) => void;
}

export interface PolicyWatch {
  /** Looks at the files now, as they are, whether or not they changed. Resolves once their policy is in force or turned down. */
  reload(): Promise<void>;
  /** Ends it; waits for a change that is being made. Close it before the guard. */
  close(): Promise<void>;
}

/**
 * Puts the policy of a configuration file in force whenever it changes. Of the configuration only `policy` is followed.
 * Does nothing, and keeps nothing open, for a configuration that says `policy.reload: false` or came from no file.
 */
export function watchPolicy(guard: Pick<Guard, 'setPolicy'>, config: Config, options: WatchPolicyOptions = {}): PolicyWatch {
  if (!config.reloadsPolicy || config.path === undefined) return { reload: async () => {}, close: async () => {} };
  const follower = new PolicyFollower(guard, config, config.path, options);
  follower.start();
  return { reload: () => follower.reload(), close: () => follower.close() };
}

class PolicyFollower {
  readonly #guard: Pick<Guard, 'setPolicy'>;
  readonly #options: WatchPolicyOptions;
  readonly #path: string;
  readonly #running: Config;
  readonly #changed: ChangedFiles;
  #files: readonly string[];
  #ends: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> | undefined;
  #isClosed = false;
  #isSoon = false;
  /** Code of the ledger's failure to record a change, told once. */
  #failure: string | undefined;
  #moving = 0;
  /** What the last file that did not load was turned down for. */
  #rejected: string | undefined;
  /** The settings somebody was told to restart for. */
  #toldOf: string;

  constructor(guard: Pick<Guard, 'setPolicy'>, config: Config, path: string, options: WatchPolicyOptions) {
    this.#guard = guard;
    this.#options = options;
    this.#path = path;
    this.#running = config;
    this.#files = [path, ...config.policyFiles];
    this.#changed = new ChangedFiles(this.#files);
    this.#toldOf = config.settingsDigest;
  }

  start(): void {
    this.#watch();
    // The file may have changed since it was loaded: the first look finds it changed in any case.
    this.#lookIn(SETTLE_MS);
  }

  async reload(): Promise<void> {
    await this.#loading;
    this.#changed.forget();
    do this.#changed.look();
    while (!(await this.#load()));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#unwatch();
    await this.#loading;
  }

  #lookIn(ms: number): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#isSoon = ms <= SETTLE_MS;
    this.#timer = setTimeout(() => void this.#look(), ms);
    this.#timer.unref();
  }

  /** However many changes are told of, the look that is due comes when it is due: a thousand of them are one. */
  #lookSoon(): void {
    if (!this.#isSoon) this.#lookIn(SETTLE_MS);
  }

  async #look(): Promise<void> {
    // Not a second one while this one loads.
    this.#isSoon = true;
    const found = this.#changed.look();
    this.#moving = found === 'moving' ? this.#moving + 1 : 0;
    if (this.#moving === MAX_MOVING) {
      const message = `${this.#path}: a file of the policy is written to again and again; the policy in force stays until it rests`;
      this.#tell(new CountersignError('CONFIG_INVALID', message));
    }
    if (found === 'settled') await this.#load();
    if (found !== 'same' && !this.#isClosed) this.#watch();
    this.#lookIn(found === 'same' || this.#failure !== undefined ? POLL_MS : SETTLE_MS);
  }

  /** @returns false when the files changed while they were read. */
  async #load(): Promise<boolean> {
    const load = this.#loadOnce();
    this.#loading = load.then(() => undefined);
    return load;
  }

  async #loadOnce(): Promise<boolean> {
    const files = new Set([this.#path]);
    let loaded: { readonly config: Config } | { readonly error: unknown };
    try {
      loaded = { config: this.#read(files) };
    } catch (error) {
      loaded = { error };
    }
    if (!this.#changed.take()) return false;
    // Also of what did not load: the file that is missing may come.
    this.#files = [...files];
    if (this.#changed.follow(this.#files)) return false;
    await ('error' in loaded ? this.#reject(loaded.error) : this.#putInForce(loaded.config));
    return true;
  }

  #read(files: Set<string>): Config {
    const { env = process.env } = this.#options;
    // A mode that changed waits for a restart; until then the policy is that of the mode that is run.
    const running = { ...env, COUNTERSIGN_MODE: this.#running.mode, COUNTERSIGN_AGENT: this.#running.agent };
    const config = loadConfig(this.#path, { env: running, onPolicyFile: (file) => files.add(file) });
    requireSameTrust(this.#running, config);
    return config;
  }

  async #putInForce(config: Config): Promise<void> {
    try {
      const change = await this.#guard.setPolicy(() => this.#policyOf(config));
      this.#rejected = undefined;
      this.#failure = undefined;
      if (change.changed) this.#options.onChange?.(change);
    } catch (error) {
      const code = CountersignError.is(error) && error.code.startsWith('LEDGER_') ? error.code : undefined;
      // The files are fine and the ledger is not: tried again.
      if (code !== undefined) this.#changed.forget();
      if (code === undefined || code !== this.#failure) this.#tell(error);
      this.#failure = code;
    }
    if (config.settingsDigest === this.#toldOf) return;
    this.#toldOf = config.settingsDigest;
    if (config.settingsDigest !== this.#running.settingsDigest) {
      const message = `${this.#path}: more than the policy changed; restart to use the rest of it`;
      this.#tell(new CountersignError('CONFIG_CHANGED', message));
    }
  }

  #policyOf(config: Config): GuardOptions['policy'] {
    const { policyOf } = this.#options;
    if (policyOf !== undefined) return policyOf(config);
    // Rules alone would let run what the decision point was put there to stop.
    if (config.authzen !== undefined)
      throw new CountersignError('OPTIONS_INVALID', 'policy.authzen names a decision point: give watchPolicy `policyOf: configuredPolicy`');
    return config.policy;
  }

  /** The same fault, however often the file is written with it, is one entry. */
  async #reject(error: unknown): Promise<void> {
    const { code = '', details = {} } = CountersignError.is(error) ? error : {};
    const fault = JSON.stringify([code, details]);
    if (fault !== this.#rejected) {
      this.#rejected = fault;
      // Only for its note: it rejects with this very error, which is told below, and reports a ledger that took none itself.
      await this.#guard.setPolicy(() => Promise.reject(error)).catch(() => undefined);
    }
    this.#tell(error);
  }

  #tell(error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error));
    const { onError = warn } = this.#options;
    try {
      onError(told);
    } catch {
      // Its trouble: the watch goes on.
    }
  }

  #watch(): void {
    this.#unwatch();
    for (const file of this.#files) {
      try {
        const soon = (): void => this.#lookSoon();
        this.#ends.push(watchFile(file, { changed: soon, lost: soon }));
      } catch {
        // Not there, or no watch to be had: the poll finds what changes.
      }
    }
  }

  #unwatch(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

/** Who may write the file must not, by that alone, get rid of those whose signature this process was started to ask for. */
function requireSameTrust(running: Config, { bundle }: Config): void {
  if (running.bundle === undefined || isDeepStrictEqual(running.bundle.trust, bundle?.trust)) return;
  throw new CountersignError(
    'CONFIG_CHANGED',
    `${running.path}: policy.keys, threshold or id changed, or the signed bundle is gone; the policy in force stays. Restart if that is meant`,
  );
}

function warn(error: Error): void {
  process.emitWarning(error.message, 'CountersignWarning');
}
