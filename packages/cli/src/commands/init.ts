import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { generateKey, parseConfig, writeKeyFile } from '@countersign/core';
import type { Command } from '../command.ts';
import { configPath } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { FileExistsError } from '../failure.ts';
import { type Output, safe } from '../output.ts';
import { starterConfig } from '../starter-config.ts';

const FOLDER = '.countersign';
const IGNORED = `${FOLDER}/`;
const FALLBACK_AGENT = 'my-agent';
const MAX_AGENT_CHARS = 128;

export const init: Command = {
  name: 'init',
  summary: 'write a first countersign.yaml and a signing key',
  positionals: [],
  options: [
    { name: 'agent', kind: 'text', value: 'NAME', about: "name of the agent; default: this folder's name" },
    { name: 'force', kind: 'switch', about: 'replace the configuration file; a key is never replaced' },
  ],
  notes: ['The first configuration only watches (mode: audit). Nothing is blocked until you set mode: enforce.'],
  example: 'countersign init --agent billing-bot',
  async run({ io, output, flags }) {
    const config = configPath({ io, flags });
    const folder = dirname(config);
    const agent = flags.text('agent') ?? agentName(folder);
    const text = starterConfig(agent);
    // A name that does not fit is refused by the same check that will read the file.
    const { ledger } = parseConfig(text, { path: config });
    const replaced = existsSync(config);
    if (replaced && !flags.on('force')) throw new FileExistsError(config, 'edit it, or replace it with --force; keys stay either way');
    const keyPath = ledger.key ?? join(folder, FOLDER, 'ledger.key');
    const key = makeKey(keyPath, ledger.origin);
    writeWhole(config, text);
    const ignored = ignoreFolder(folder);
    output.result({ config, agent, mode: 'audit', key: keyPath, key_created: key !== undefined, vkey: key ?? null, gitignore: ignored });
    for (const line of summary({ config, keyPath, ledgerPath: ledger.path, key, replaced, ignored, folder, output })) output.line(line);
    return EXIT.OK;
  },
};

/** @returns the verifier line of a new key; undefined when there was one already. */
function makeKey(path: string, origin: string): string | undefined {
  if (existsSync(path)) return undefined;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const { privatePem, vkey } = generateKey(origin);
  writeKeyFile(path, privatePem, vkey);
  return vkey;
}

function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, text, { flag: 'wx' });
  renameSync(temporary, path);
}

/** Only where there is a .gitignore: whether this folder belongs into one is not ours to guess. */
function ignoreFolder(folder: string): 'added' | 'present' | 'none' {
  const path = join(folder, '.gitignore');
  if (!existsSync(path)) return 'none';
  const text = readFileSync(path, 'utf8');
  if (text.split(/\r?\n/).some((line) => [IGNORED, FOLDER, `/${IGNORED}`, `/${FOLDER}`].includes(line.trim()))) return 'present';
  appendFileSync(path, `${text === '' || text.endsWith('\n') ? '' : '\n'}${IGNORED}\n`);
  return 'added';
}

interface Done {
  readonly config: string;
  readonly keyPath: string;
  readonly ledgerPath: string;
  readonly key: string | undefined;
  readonly replaced: boolean;
  readonly ignored: 'added' | 'present' | 'none';
  readonly folder: string;
  readonly output: Output;
}

function summary({ config, keyPath, ledgerPath, key, replaced, ignored, folder, output }: Done): readonly string[] {
  const name = (path: string): string => safe(relative(folder, path) || path);
  return [
    `${replaced ? 'replaced' : 'wrote'} ${name(config)}`,
    key === undefined ? `kept  ${name(keyPath)}, which was there already` : `wrote ${name(keyPath)} (mode 600) and ${name(keyPath)}.pub`,
    ...(existsSync(ledgerPath)
      ? [`note: ${name(ledgerPath)} is there already; \`countersign doctor\` says whether it is of this agent and key`]
      : []),
    ...(ignored === 'added' ? [`added ${IGNORED} to .gitignore`] : []),
    ...(ignored === 'none' ? [`note: keep ${IGNORED} out of version control; the key in it is secret`] : []),
    '',
    output.style('warn', 'NOTHING IS BLOCKED YET: mode is audit, calls are recorded and run.'),
    'When the rules say what you mean, change `mode: audit` to `mode: enforce`.',
    '',
    'next:',
    '  countersign doctor',
    '  countersign wrap                    # the MCP clients on this machine, to put the proxy before their servers',
    '  countersign proxy --server files -- npx -y @modelcontextprotocol/server-filesystem .',
    '  countersign run -- node agent.mjs',
    "or in code: openGuard('countersign.yaml') of @countersign/core/sqlite",
  ];
}

function agentName(folder: string): string {
  const cleaned = basename(folder)
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replaceAll(/^[^A-Za-z0-9]+|-+$/g, '')
    .slice(0, MAX_AGENT_CHARS);
  return cleaned === '' ? FALLBACK_AGENT : cleaned;
}
