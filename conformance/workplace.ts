/** A configuration, a key and a ledger of their own, in a temporary folder. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKey, loadConfig, writeKeyFile } from '@countersign/core';
import { type VerifyReport, verifyLedger } from '@countersign/core/sqlite';

const MAIN = fileURLToPath(new URL('../packages/cli/src/main.ts', import.meta.url));
const ORIGIN = 'countersign.local/conformance';

export interface Workplace {
  readonly folder: string;
  /** For processes started here. */
  readonly env: NodeJS.ProcessEnv;
  /** The command line of `countersign`, from source: program first. `args` may end in `-- command ...`. */
  countersign(verb: string, ...args: readonly string[]): readonly [string, ...string[]];
  /** What the ledger proves. Call it when nobody writes any more. */
  verify(): Promise<VerifyReport>;
  remove(): void;
}

/** @param rules - YAML, one rule a line; what none of them allows is refused. */
export function workplace(rules: readonly string[]): Workplace {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-conformance-'));
  const config = join(folder, 'countersign.yaml');
  const { privatePem, vkey } = generateKey(ORIGIN);
  writeKeyFile(join(folder, 'ledger.key'), privatePem, vkey);
  writeFileSync(config, configText(rules));
  const env = { ...process.env, COUNTERSIGN_STATE_DIR: join(folder, 'state') };
  const loaded = loadConfig(config, { env });
  return {
    folder,
    env,
    countersign: (verb, ...args) => [
      process.execPath,
      '--conditions=@countersign/source',
      '--no-warnings',
      MAIN,
      verb,
      '--config',
      config,
      ...args,
    ],
    verify: () => verifyLedger(loaded.ledger.path, { publicKeys: [vkey] }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function configText(rules: readonly string[]): string {
  return `version: 1
agent: conformance
mode: enforce
policy:
  id: conformance
  version: "1"
  default: deny
  rules:
${rules.map((rule) => `    - ${rule}`).join('\n')}
ledger: { path: ledger.db, key: ledger.key, origin: ${ORIGIN} }
`;
}
