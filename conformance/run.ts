/**
 * The published conformance suites, against a server itself and through the proxy: what they say must be the same, check by check.
 * `npm run conformance [-- --suite PART --transport PART --server PART]`
 *
 * Exit code 1: there is a difference that own-checks.ts does not explain, or the ledger of the run does not verify.
 */
import { parseArgs } from 'node:util';
import { type Difference, differences, type Summary, summary } from './compare.ts';
import { wanted } from './own-checks.ts';
import { SERVERS, type Server } from './servers.ts';
import { type Check, runSuite, SUITES, type Suite } from './suites.ts';
import { TRANSPORTS, type Transport } from './transports.ts';
import { type Workplace, workplace } from './workplace.ts';

interface Row extends Summary {
  readonly suite: string;
  readonly server: string;
  readonly transport: string;
  readonly isBridge?: boolean;
  /** Absent in the rows of the server itself. */
  readonly differences?: readonly Difference[];
}

const NAME = { type: 'string' } as const;
const { values } = parseArgs({ options: { suite: NAME, transport: NAME, server: NAME } });
const rules = ['{ id: everything-asked-for, tools: ["fixture/*", "everything/*"], effect: allow }'];

const place = workplace(rules);
try {
  const rows: Row[] = [];
  for (const server of chosen('server', SERVERS)) rows.push(...(await runServer(server, place)));
  process.stdout.write(`${table(rows)}\n${rows.map(differenceText).join('')}`);
  const { status, authorship, entries, counts } = await place.verify();
  process.stdout.write(
    `ledger: ${status}, authorship ${authorship}, ${entries} entries, ${counts.decisions} decisions, ${counts.outcomes} outcomes\n`,
  );
  const isSame = rows.every((row) => unwanted(row).length === 0);
  process.exitCode = isSame && status === 'valid' && authorship === 'proven' ? 0 : 1;
} finally {
  place.remove();
}

async function runServer(server: Server, place: Workplace): Promise<readonly Row[]> {
  const rows: Row[] = [];
  const itself = await server.http();
  try {
    for (const suite of chosen('suite', SUITES)) {
      const direct = await told(suite, server, 'direct', itself.url);
      rows.push({ suite: suite.name, server: server.name, transport: 'direct', ...summary(direct) });
      for (const transport of chosen('transport', TRANSPORTS)) {
        if (!isComparable(suite, server, transport)) continue;
        const proxied = await through(transport, { suite, server, url: itself.url, place });
        const row = {
          suite: suite.name,
          server: server.name,
          transport: transport.name,
          isBridge: transport.isBridge,
          ...summary(proxied),
        };
        rows.push({ ...row, differences: differences(direct, proxied) });
      }
    }
  } finally {
    await itself.close();
  }
  return rows;
}

/** What a server says over HTTP to a protocol that it does not speak, and what it says over stdio, differ with no proxy between. */
function isComparable(suite: Suite, server: Server, transport: Transport): boolean {
  return !transport.isBridge || suite.isStateless !== true || server.isStateless;
}

interface Run {
  readonly suite: Suite;
  readonly server: Server;
  readonly url: string;
  readonly place: Workplace;
}

async function through(transport: Transport, { suite, server, url, place }: Run): Promise<readonly Check[]> {
  const proxy = await transport.start({ server, url, workplace: place });
  try {
    return await told(suite, server, transport.name, proxy.url);
  } finally {
    await proxy.close();
  }
}

function told(suite: Suite, server: Server, transport: string, url: string): Promise<readonly Check[]> {
  if (process.stderr.isTTY) process.stderr.write(`${suite.name}, ${server.name}, ${transport} ...\n`);
  return runSuite(suite, url);
}

function chosen<T extends { readonly name: string }>(option: keyof typeof values, all: readonly T[]): readonly T[] {
  const part = values[option];
  const found = all.filter(({ name }) => part === undefined || name.includes(part));
  if (found.length > 0) return found;
  throw new Error(`no ${option} has "${part}" in its name: ${all.map(({ name }) => name).join(', ')}`);
}

function table(rows: readonly Row[]): string {
  const head = ['suite', 'server', 'transport', 'scenarios', 'passed', 'failed', 'warned', 'different', 'explained'];
  const lines = rows.map((row) => {
    const { suite, server, transport, scenarios, passed, failed, warned, differences: found } = row;
    const compared = found === undefined ? ['', ''] : [unwanted(row).length, found.length - unwanted(row).length];
    return [suite, server, transport, scenarios, passed, failed, warned, ...compared].map(String);
  });
  const widths = head.map((title, at) => Math.max(title.length, ...lines.map((line) => line[at]?.length ?? 0)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function unwanted({ differences: found = [], isBridge }: Row): readonly Difference[] {
  return found.filter((difference) => wanted(difference, isBridge) === undefined);
}

function differenceText({ suite, server, transport, isBridge, differences: found = [] }: Row): string {
  return found
    .map((difference) => {
      const { scenario, check, direct = '(not made)', proxied = '(not made)' } = difference;
      const because = wanted(difference, isBridge);
      const where = `\n${suite}, ${server}, ${transport}: ${scenario}: ${check}`;
      return because === undefined ? `${where}\n  direct:  ${direct}\n  proxied: ${proxied}\n` : `${where}: ${because}\n`;
    })
    .join('');
}
