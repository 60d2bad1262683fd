/** The servers of a configuration as the proxy starts them: secrets fetched, and none of them inherited by another server. */
import {
  type Config,
  CountersignError,
  configuredSecrets,
  didYouMean,
  readPrivateFile,
  type SecretSource,
  type ServerConfig,
  type ValueConfig,
} from '@countersign/core';
import type { GatewayTarget } from '@countersign/mcp-proxy';
import { UsageError } from './failure.ts';
import { safe } from './output.ts';

const MAX_SECRET_BYTES = 4096;
/** What a header may hold; the text around a secret was looked at with the file. */
const HEADER_TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/**
 * All servers of the configuration.
 *
 * @throws {CountersignError} `CONFIG_INVALID` for a secret that is not there. Its message names the place, never the value.
 */
export function configuredServers(config: Config, env: NodeJS.ProcessEnv, cwd: string): readonly GatewayTarget[] {
  return [...config.servers].map(([name, server]) => targetOf(name, server, config, env, cwd));
}

/** The one server that is asked for. @throws {UsageError} */
export function configuredServer(name: string, config: Config, env: NodeJS.ProcessEnv, cwd: string): GatewayTarget {
  const server = config.servers.get(name);
  if (server !== undefined) return targetOf(name, server, config, env, cwd);
  const names = [...config.servers.keys()];
  throw new UsageError(
    `--server: no server ${JSON.stringify(safe(name))} in the configuration${didYouMean(name, names)}`,
    `use one of: ${names.join(', ')}`,
  );
}

/** The server has no business with the ledger key, and with secrets of channels it could answer for the people they ask. */
export function withoutSecrets(env: NodeJS.ProcessEnv, config: Config): NodeJS.ProcessEnv {
  const names = configuredSecrets(config).flatMap((source) => ('env' in source ? [source.env] : []));
  return { ...env, ...Object.fromEntries(['COUNTERSIGN_PASSPHRASE_FILE', ...names].map((name) => [name, undefined])) };
}

function targetOf(name: string, server: ServerConfig, config: Config, env: NodeJS.ProcessEnv, cwd: string): GatewayTarget {
  if (!('command' in server)) {
    const values = [...server.headers].map(
      ([header, value]) => [header, headerText(value, env, `servers.${name}.headers.${header}`)] as const,
    );
    return { name, url: server.url, headers: Object.fromEntries(values), transport: server.transport };
  }
  const own = [...server.env].map(([variable, value]) => [variable, textOf(value, env, `servers.${name}.env.${variable}`)] as const);
  return {
    name,
    command: server.command,
    args: server.args,
    cwd: server.cwd ?? cwd,
    // The last one tells whatever the server starts that it may not answer approvals.
    env: { ...withoutSecrets(env, config), ...Object.fromEntries(own), COUNTERSIGN_GUARDED: '1' },
  };
}

function headerText(value: ValueConfig, env: NodeJS.ProcessEnv, place: string): string {
  const text = textOf(value, env, place);
  if (!HEADER_TEXT.test(text)) throw invalid(place, 'what it names is not one line of text');
  return text;
}

function textOf(value: ValueConfig, env: NodeJS.ProcessEnv, place: string): string {
  return value.map((part) => (typeof part === 'string' ? part : sourceText(part, env, place))).join('');
}

function sourceText(source: SecretSource, env: NodeJS.ProcessEnv, place: string): string {
  if ('file' in source) {
    const text = readPrivateFile(source.file, MAX_SECRET_BYTES, (what) => invalid(place, `the file ${what}`)).trim();
    if (text === '') throw invalid(place, `the file ${source.file} is empty`);
    return text;
  }
  const text = env[source.env];
  if (text === undefined || text === '') throw invalid(place, `the variable ${source.env} is not set`);
  return text;
}

function invalid(place: string, what: string): CountersignError {
  return new CountersignError('CONFIG_INVALID', `${place}: ${what}`);
}
