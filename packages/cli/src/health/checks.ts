/** What `doctor` looks at. A check never throws: whatever goes wrong in it is its finding. */
import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { type Config, readSigner, verifyCheckpoint } from '@countersign/core';
import { checkDurability, mirrorStatus, readLedger, stateDirectory } from '@countersign/core/sqlite';
import { capabilityLines, hostMonitor, triedCapabilities } from '@countersign/monitor';
import type { Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { failureOf } from '../failure.ts';
import { anchors } from './anchors.ts';
import { channels, hasChannels } from './channels.ts';
import { decisionPoints, hasDecisionPoints } from './decision-points.ts';
import { fileSystem } from './file-system.ts';
import type { Finding, Verdict } from './finding.ts';
import { alerts, judge } from './telling.ts';
import { watching } from './watching.ts';

type Asked = Pick<Invocation, 'io' | 'flags'>;

/** Wall clocks outside of this are wrong. */
const EARLIEST_MS: number = Date.UTC(2025, 0, 1);
const LATEST_MS: number = Date.UTC(2100, 0, 1);
const CLOCK_TOLERANCE_MS = 60_000;
const SYNCHRONOUS_FULL = 2;

/** All checks, in the order a reader would fix them. */
export async function runChecks(asked: Asked): Promise<readonly Finding[]> {
  const findings: Finding[] = [
    await check('node', nodeVersion),
    await check('sqlite', () => sqlite(tmpdir())),
    await check('clock', clock),
  ];
  let config: Config | undefined;
  findings.push(
    await check('config', () => {
      config = configOf(asked);
      return configFinding(config);
    }),
  );
  if (config !== undefined) {
    const known: Config = config;
    const { ledger } = known;
    const { judge: judging, alerts: telling } = known.monitor;
    findings.push(
      await check('key', () => keyFile(ledger)),
      await check('ledger', () => ledgerFile(ledger)),
      await check('filesystem', () => ledgerFileSystem(ledger)),
      await check('watching', () => watching(ledger.path)),
      ...(ledger.mirror === undefined ? [] : [await check('mirror', () => mirrorFile(ledger.path, ledger.mirror as string))]),
      ...(hasChannels(known) ? [await check('channels', () => channels(known, asked.io.env))] : []),
      ...(hasDecisionPoints(known) ? [await check('decisions', () => decisionPoints(known, asked.io.env))] : []),
      ...(judging === undefined ? [] : [await check('judge', () => judge(judging))]),
      ...(telling.webhooks.length > 0 || telling.command !== undefined
        ? [await check('alerts', () => alerts(known, asked.io.cwd, asked.io.env))]
        : []),
      ...(ledger.anchors.length > 0 ? [await check('anchors', () => anchors(ledger))] : []),
    );
  }
  findings.push(
    await check('state', () => stateFolder(asked.io.env)),
    await check('monitor', monitor),
    await check('environment', () => environment(asked.io.env)),
  );
  return findings;
}

async function check(name: string, look: () => Verdict | Promise<Verdict>): Promise<Finding> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    const { code, message, next } = failureOf(error);
    return { name, status: 'fail', message: `${message} [${code}]`, ...(next !== undefined && { next }) };
  }
}

function nodeVersion(): Verdict {
  return { status: 'ok', message: `Node ${process.versions.node} on ${process.platform} ${process.arch}` };
}

function sqlite(folder: string): Verdict {
  const facts = checkDurability(folder);
  const message = `SQLite ${facts.sqlite}, journal ${facts.journal}, synchronous ${facts.synchronous} after reopening`;
  if (facts.synchronous === SYNCHRONOUS_FULL) return { status: 'ok', message };
  return { status: 'fail', message, next: 'commits would not reach the disk: reinstall better-sqlite3' };
}

function clock(): Verdict {
  const now = Date.now();
  if (now < EARLIEST_MS || now > LATEST_MS) {
    return {
      status: 'fail',
      message: `the clock says ${new Date(now).toISOString()}`,
      next: 'set the clock: expiries and records depend on it',
    };
  }
  return { status: 'ok', message: `${new Date(now).toISOString()}` };
}

function configFinding({ path = '', agent, mode, packs, policyDefinition }: Config): Verdict {
  const used = packs.length === 0 ? '' : ` and ${packs.length === 1 ? 'pack' : 'packs'} ${packs.map(({ name }) => name).join(', ')}`;
  const message = `${path}: agent ${agent}, mode ${mode}, ${policyDefinition.rules.length} rules${used}`;
  if (mode !== 'audit' && packs.length > 0 && policyDefinition.rules.length === 0 && policyDefinition.default !== 'allow')
    return {
      status: 'warn',
      message: `${message}; packs allow nothing, so every call is refused`,
      next: 'write rules that allow what is meant, or set `default: allow`',
    };
  if (mode !== 'audit') return { status: 'ok', message };
  return { status: 'warn', message: `${message}; nothing is blocked`, next: 'set `mode: enforce` when the rules say what you mean' };
}

function keyFile({ key, origin }: Config['ledger']): Verdict {
  if (key === undefined)
    return {
      status: 'warn',
      message: 'sign: none, so nobody can prove who wrote the ledger',
      next: 'make a key with `countersign keygen`',
    };
  // Also checks that nobody else may read it.
  const { vkey } = readSigner(key, origin);
  return { status: 'ok', message: `${key} (mode ${(statSync(key).mode & 0o777).toString(8)}), ${vkey}` };
}

function ledgerFile({ path, key, origin }: Config['ledger']): Verdict {
  if (!existsSync(path)) return { status: 'ok', message: `${path} is not there yet; the first call makes it` };
  const reader = readLedger(path);
  try {
    const head = reader.head();
    if (head === undefined) return { status: 'ok', message: `${path} has no entries yet` };
    if (head.origin !== origin) {
      return {
        status: 'fail',
        message: `${path} belongs to ${head.origin}, the configuration says ${origin}`,
        next: 'set ledger.origin, or name another ledger.path',
      };
    }
    if (key !== undefined) verifyCheckpoint(head.note, [readSigner(key, origin).vkey]);
    const [last] = reader.entries(head.size - 1);
    if (last !== undefined && timeOf(last.text) > Date.now() + CLOCK_TOLERANCE_MS) {
      return {
        status: 'warn',
        message: `the newest entry of ${path} is in the future`,
        next: 'check the clock; new entries take the time of the newest one',
      };
    }
    const signed = key === undefined ? 'unsigned' : 'the newest checkpoint is signed by the configured key';
    return {
      status: 'ok',
      message: `${path}: ${head.size} entries, ${signed}`,
      next: 'this looked at the end only; `countersign verify` checks everything',
    };
  } finally {
    reader.close();
  }
}

async function mirrorFile(ledger: string, mirror: string): Promise<Verdict> {
  if (!existsSync(ledger)) return { status: 'ok', message: `${mirror} will follow the ledger once there is one` };
  const status = await mirrorStatus(ledger, mirror);
  const next = 'it catches up while a guard runs; if it does not, see what the guard warned of';
  if (status === undefined) return { status: 'warn', message: `there is no mirror at ${mirror} yet`, next };
  const { entries, mirrored, covered, tornBytes } = status;
  const torn = tornBytes > 0 ? `, and ${tornBytes} bytes of a half written line` : '';
  const all = `${mirror} has all ${entries} entries of the ledger`;
  if (covered === entries && tornBytes === 0) return { status: 'ok', message: all };
  // With interval signing the newest entries wait for a signature.
  if (mirrored === entries && tornBytes === 0) return { status: 'ok', message: `${all}; its checkpoint covers ${covered}` };
  const lag = `${mirror} has ${mirrored} of ${entries} entries (its checkpoint covers ${covered})${torn}`;
  return { status: 'warn', message: lag, next };
}

function timeOf(text: string): number {
  const entry: unknown = JSON.parse(text);
  const at = typeof entry === 'object' && entry !== null && 'at' in entry ? entry.at : undefined;
  return typeof at === 'number' ? at : 0;
}

function ledgerFileSystem({ path }: Config['ledger']): Verdict {
  const folder = [dirname(path), dirname(dirname(path))].find((each) => existsSync(each)) ?? '/';
  accessSync(folder, constants.W_OK);
  const { name, problem } = fileSystem(folder);
  if (problem === undefined) return { status: 'ok', message: `${folder} is writable${name === undefined ? '' : ` (${name})`}` };
  return { status: 'warn', message: `${folder} is on ${name}: ${problem}`, next: 'put ledger.path on a local disk' };
}

function stateFolder(env: NodeJS.ProcessEnv): Verdict {
  const folder = stateDirectory(env);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  accessSync(folder, constants.W_OK);
  return { status: 'ok', message: `${folder} is writable: last known heads are kept there` };
}

async function monitor(): Promise<Verdict> {
  const host = hostMonitor();
  const { coverage } = host;
  await host.close();
  const capabilities = await triedCapabilities();
  const inside = `coverage ${coverage}: CPU time and memory of the guard's process; files, processes and connections are not seen`;
  const [heading = '', ...lines] = capabilityLines(capabilities);
  return {
    status: capabilities.level === undefined ? 'warn' : 'ok',
    message: [inside, `of the processes of an agent, ${heading}`, ...lines].join('\n'),
    ...(capabilities.level === undefined && { next: 'install ps: without /proc and without ps no process can be watched' }),
  };
}

/** Values of these are paths and names; of any other only the name is shown. */
const SHOWN_VARIABLES: ReadonlySet<string> = new Set([
  'COUNTERSIGN_CONFIG',
  'COUNTERSIGN_MODE',
  'COUNTERSIGN_AGENT',
  'COUNTERSIGN_LEDGER',
  'COUNTERSIGN_STATE_DIR',
]);

function environment(env: NodeJS.ProcessEnv): Verdict {
  const set = Object.keys(env)
    .filter((name) => name.startsWith('COUNTERSIGN_') && env[name] !== '')
    .toSorted();
  if (set.length === 0) return { status: 'ok', message: 'no COUNTERSIGN_ variables are set' };
  const message = `in force: ${set.map((name) => (SHOWN_VARIABLES.has(name) ? `${name}=${env[name]}` : name)).join(', ')}`;
  if (set.includes('COUNTERSIGN_AUTO_APPROVE')) {
    return { status: 'warn', message, next: 'unset COUNTERSIGN_AUTO_APPROVE: it answers for people where code allows it' };
  }
  const overriding = set.some((name) => ['COUNTERSIGN_MODE', 'COUNTERSIGN_AGENT', 'COUNTERSIGN_LEDGER'].includes(name));
  return overriding
    ? { status: 'warn', message, next: 'these override countersign.yaml; unset what is not meant' }
    : { status: 'ok', message };
}
