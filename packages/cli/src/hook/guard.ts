/** The guard of one hook: opened from the configuration, closed before the process ends. What needs a network is loaded where the configuration names it. */
import { type Config, type Guard, loadConfig } from '@countersign/core';
import { guardFromConfig, type SqliteStore, storeFromConfig } from '@countersign/core/sqlite';
import { settingsFiles, settingsPolicy } from './settings-policy.ts';
import { OWN_SERVER } from './tool-name.ts';

export interface HookGuard {
  readonly guard: Guard;
  readonly config: Config;
  close(): Promise<void>;
}

export interface HookGuardOptions {
  readonly configPath: string;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string | undefined;
  /** The program that the settings start. */
  readonly program: string | undefined;
  /** Pid of the client that runs the hook. */
  readonly client: number | undefined;
  readonly onError: (error: unknown, during: string) => void;
}

/** @throws {CountersignError} `CONFIG_*`, `KEY_*`, `LEDGER_*`, `OPTIONS_INVALID` */
export async function openHookGuard({ configPath, env, cwd, program, client, onError }: HookGuardOptions): Promise<HookGuard> {
  const config = loadConfig(configPath, { env });
  const network = needsNetwork(config) ? await import('@countersign/connect') : undefined;
  const store: SqliteStore = storeFromConfig(config, {
    // One commit and an end: nobody is left who would sign later.
    signNow: true,
    ...(client !== undefined && { client }),
    onError: (error) => onError(error, 'the ledger'),
    ...(network !== undefined && { witness: network.witnessAnchor, timestamp: network.timestampAnchor }),
  });
  const asked = network?.configuredChannels(config, {
    env,
    terminal: false,
    approval: (id) => store.approval(id),
    onError: (error) => onError(error, 'approval channels'),
  });
  try {
    const policy = network === undefined ? config.policy : network.configuredPolicy(config, { env });
    const own = [...settingsFiles(env, cwd), ...(program === undefined ? [] : [program])];
    const guard = guardFromConfig(config, store, {
      policy: [policy, settingsPolicy(own)],
      channels: asked?.channels ?? [],
      roots: rootsOf(config, cwd),
      onError: (error, { during }) => onError(error, during),
    });
    return {
      guard,
      config,
      async close() {
        await guard.close();
        await asked?.close();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** The configuration has the last word on where relative paths lead; without one it is the folder the client works in. */
function rootsOf({ roots }: Config, cwd: string | undefined): Config['roots'] {
  if (cwd === undefined || Object.hasOwn(roots.servers ?? {}, OWN_SERVER)) return roots;
  return { ...roots, servers: { ...roots.servers, [OWN_SERVER]: cwd } };
}

function needsNetwork({ approvals, authzen, ledger }: Config): boolean {
  return (
    authzen !== undefined ||
    approvals.channels.some((channel) => typeof channel === 'object') ||
    ledger.anchors.some((anchor) => 'witness' in anchor || 'rfc3161' in anchor)
  );
}
