/** Where a proxy without a configuration keeps its records: it watches with the baseline pack, and says so. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey, writeKeyFile } from '@countersign/core';
import { stateDirectory } from '@countersign/core/sqlite';

const ORIGIN = 'countersign.local/unconfigured';
const CONFIG = `# Written by countersign proxy, which found no configuration. For one of your own: countersign init
version: 1
agent: unconfigured
mode: audit
policy: { packs: [baseline] }
ledger: { path: ledger.db, key: ledger.key, origin: ${ORIGIN} }
`;

/**
 * Makes configuration and key in the user's state directory, unless they are there.
 *
 * @returns the path of the configuration.
 */
export function defaultConfigPath(env: NodeJS.ProcessEnv): string {
  const folder = join(stateDirectory(env), 'unconfigured');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'countersign.yaml');
  const key = join(folder, 'ledger.key');
  // The key first: a configuration without one would not start.
  unlessThere(key, () => {
    const { privatePem, vkey } = generateKey(ORIGIN);
    writeKeyFile(key, privatePem, vkey);
  });
  unlessThere(path, () => writeFileSync(path, CONFIG, { flag: 'wx', mode: 0o600 }));
  return path;
}

/** Two proxies may start at once: whoever is second uses what the first one made. */
function unlessThere(path: string, write: () => void): void {
  if (existsSync(path)) return;
  try {
    write();
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
}
