/** Runs the published conformance suites against a server, as the programs they are. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

export interface Suite {
  readonly name: string;
  /** The package it comes in. */
  readonly package: string;
  readonly options: readonly string[];
  /** Of 2026-07-28. */
  readonly isStateless?: true;
}

export const SUITES: readonly Suite[] = [
  { name: '0.1.16', package: '@modelcontextprotocol/conformance', options: ['--suite', 'all'] },
  { name: 'next 2025-11-25', package: '@modelcontextprotocol/conformance-next', options: ['--requirements', '2025-11-25'] },
  {
    name: 'next 2026-07-28',
    package: '@modelcontextprotocol/conformance-next',
    options: ['--requirements', '2026-07-28'],
    isStateless: true,
  },
];

export interface Check {
  readonly scenario: string;
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly message: string;
}

/** `server-<scenario>-<time>`, one folder for each. */
const FOLDER = /^server-(?<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/;
const MOST_TIME_MS = 15 * 60_000;

/**
 * @param scenario - this one alone.
 * @returns every check, in the order of the folders' names; empty is never returned.
 * @throws {Error} when the suite did not run.
 */
export async function runSuite(suite: Suite, url: string, scenario?: string): Promise<readonly Check[]> {
  const results = mkdtempSync(join(tmpdir(), 'countersign-conformance-'));
  try {
    const chosen = scenario === undefined ? suite.options : ['--scenario', scenario];
    const said = await run([programOf(suite), 'server', '--url', url, ...chosen, '-o', results]);
    const checks = readdirSync(results)
      .sort()
      .flatMap((folder) => checksIn(results, folder, url));
    if (checks.length === 0) throw new Error(`${suite.name} checked nothing: ${said.slice(-2000)}`);
    return checks;
  } finally {
    rmSync(results, { recursive: true, force: true });
  }
}

function programOf({ package: name }: Suite): string {
  return join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'dist/index.js');
}

/** Ends with 1 when checks failed, which is for the caller to judge. */
function run(args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: MOST_TIME_MS, killSignal: 'SIGKILL' });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void (said += chunk.toString()));
    child.once('error', reject);
    child.once('close', (_code, signal) => (signal === null ? resolve(said) : reject(new Error(`the suite was ended by ${signal}`))));
  });
}

function checksIn(results: string, folder: string, url: string): readonly Check[] {
  const scenario = FOLDER.exec(folder)?.groups?.['scenario'];
  if (scenario === undefined) return [];
  const file = join(results, folder, 'checks.json');
  // A scenario that could not go on says so nowhere else; that it stops is compared like a check.
  if (!existsSync(file)) return [{ scenario, id: 'scenario', name: 'Completed', status: 'STOPPED', message: '' }];
  const checks: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(checks)) throw new Error(`${scenario} has no list of checks`);
  return checks.map((check: Readonly<Record<string, unknown>>) => ({
    scenario,
    id: String(check['id']),
    name: String(check['name']),
    status: String(check['status']),
    message: withoutChance(typeof check['errorMessage'] === 'string' ? check['errorMessage'] : '', url),
  }));
}

/** What differs from run to run: the address, ids and times. */
function withoutChance(message: string, url: string): string {
  return message
    .replaceAll(new URL(url).host, '<host>')
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>');
}
