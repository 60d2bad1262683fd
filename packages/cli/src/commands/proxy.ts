import { type ConfiguredChannels, configuredChannels, configuredPolicy } from '@countersign/connect';
import {
  type ApprovalRow,
  type Config,
  CountersignError,
  createRedactor,
  type Guard,
  type MonitorHost,
  monitorHost,
  OWN_SERVER,
  type Policy,
  type PolicyWatch,
  watchPolicy,
} from '@countersign/core';
import { guardFromConfig, type SqliteStore } from '@countersign/core/sqlite';
import {
  type HttpProxy,
  runRemoteProxy,
  runStdioGateway,
  runStdioProxy,
  type StartedServer,
  type StdioClientOptions,
  startHttpBridge,
  startHttpGateway,
  startHttpProxy,
} from '@countersign/mcp-proxy';
import type { Command, Invocation } from '../command.ts';
import { hasConfig } from '../configuration.ts';
import { configuredOrWatching } from '../configured.ts';
import { configuredServer, configuredServers, withoutSecrets } from '../configured-servers.ts';
import { containedServers } from '../contained-servers.ts';
import { UsageError } from '../failure.ts';
import { LISTEN_OPTIONS, type ListenGiven, listenAddress } from '../listen-address.ts';
import { elicitationChannel, mcpApprovals } from '../mcp-approvals.ts';
import { openConfigured } from '../open-configured.ts';
import { type Output, safe } from '../output.ts';
import { pageChannelOf, pageLinks } from '../page-link.ts';
import { policyText } from '../policy-text.ts';
import { REMOTE_OPTIONS, type RemoteServerGiven, remoteName, remoteServer } from '../remote-server.ts';
import { serverName } from '../server-name.ts';
import { stopOf } from '../stop.ts';
import { version } from '../version.ts';
import { type WatchedServers, watchedServers } from '../watch/watched-servers.ts';

/** The part before the slash in tool patterns. */
const SERVER_SHAPE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const NO_SSE = '--listen takes no server over HTTP+SSE';

export const proxy: Command = {
  name: 'proxy',
  summary: 'stand between an MCP client and a server, and decide every tools/call',
  positionals: [],
  options: [
    {
      name: 'server',
      kind: 'text',
      value: 'NAME',
      about: 'its name in rules; default: from the command, `npx x/y@1` is y',
    },
    { name: 'agent', kind: 'text', value: 'NAME', about: 'instead of the agent in the configuration' },
    {
      name: 'wrapped',
      kind: 'text',
      value: 'KIND',
      about: 'the mark by which `countersign unwrap` knows an entry; changes nothing',
    },
    ...REMOTE_OPTIONS,
    ...LISTEN_OPTIONS,
  ],
  notes: [
    'Standard output carries the protocol and nothing else. The ledger is opened at the first call or list of tools. Calls that need a person wait under `countersign approvals list`. Name the server in anything you keep: the default changes with the command.',
    'Without a configuration the proxy watches with the baseline pack (mode: audit) and says so; its ledger lies in the state directory, under unconfigured/.',
    'With --url the server is one over HTTP, and no command follows. Every user of this machine can read a command line: a credential is named in --header by its environment variable, or lies in --header-file.',
    'With --listen the clients come over HTTP too: the address to give them is printed to standard error. Requests that name another host, or come from a page of another site, are refused.',
    'Without a command it stands before the servers that the configuration names (`servers:`), as one server to the client, or before the one of them that --server names. With --listen every session has servers of its own and, without sessions (protocol 2026-07-28), everybody who sends the same credentials.',
    "The exit code is the server's own; before several servers 0.",
  ],
  example: 'countersign proxy --server files -- npx -y @modelcontextprotocol/server-filesystem .',
  passthrough: '<command> [args...]',
  isPassthroughOptional: true,
  isProtocol: true,
  async run(invocation) {
    const { io, output, rest } = invocation;
    const remote = remoteServer(invocation);
    const listen = listenAddress(invocation);
    if (listen !== undefined && remote?.transport === 'sse')
      throw new UsageError(NO_SSE, 'give --url one over Streamable HTTP, or leave --listen out and let the client start the proxy');
    if (remote === undefined && rest.length === 0) return runConfigured(invocation, listen);
    const server = serverOf(invocation, remote);
    const config = configured(invocation);
    const [command = '', ...args] = rest;
    const guard = new LazyGuard(config, server, output, io.env);
    try {
      const client = { server, ...clientOf(invocation, config, guard) };
      if (remote !== undefined && listen !== undefined)
        return await serveHttp((log) => startHttpProxy({ ...client, ...remote, ...listen, log }), invocation);
      if (remote !== undefined) return await runRemoteProxy({ ...client, ...remote });
      // Tells whatever the server starts that it may not answer approvals.
      const env = { ...withoutSecrets(io.env, config), COUNTERSIGN_GUARDED: '1' };
      const upstream = { command, args, env, cwd: io.cwd, onReady: (started: StartedServer) => guard.watch(server, started) };
      if (listen !== undefined) return await serveHttp((log) => startHttpBridge({ ...client, ...upstream, ...listen, log }), invocation);
      return await runStdioProxy({ ...client, ...upstream });
    } finally {
      await guard.close();
    }
  },
};

type Served = Pick<HttpProxy, 'url' | 'close'>;

/** Until it is told to end. */
async function serveHttp(start: (log: (text: string) => void) => Promise<Served>, invocation: Invocation): Promise<number> {
  const stop = stopOf(invocation);
  const log = (text: string): void => invocation.output.note(`countersign: ${safe(text)}`);
  try {
    const redactor = createRedactor();
    // Servers and clients have a say in it.
    const proxy = await start((text) => log(redactor.text(text)));
    log(`clients connect to ${proxy.url}`);
    await stop.asked;
    await proxy.close();
    return 0;
  } finally {
    stop.release();
  }
}

/** The servers of the configuration: all as one, or the one that is named. */
async function runConfigured(invocation: Invocation, listen: ListenGiven | undefined): Promise<number> {
  const { io, output, flags } = invocation;
  const config = hasConfig(invocation) ? configured(invocation) : undefined;
  if (config === undefined || config.servers.size === 0)
    throw new UsageError('proxy needs a command after `--`, or --url, or `servers:` in the configuration', `for example: ${proxy.example}`);
  const one = flags.text('server');
  const named = one === undefined ? configuredServers(config, io.env, io.cwd) : [configuredServer(one, config, io.env, io.cwd)];
  const { servers, close } = await containedServers(named, config, { env: io.env, note: (text) => output.note(text) });
  const guard = new LazyGuard(config, servers.map(({ name }) => name).join(', '), output, io.env);
  const client = clientOf(invocation, config, guard);
  try {
    const [server] = servers;
    const onServer = (name: string, started: StartedServer): void => guard.watch(name, started);
    if (one === undefined || server === undefined) {
      const all = { ...client, servers, version: version(), onServer };
      if (listen !== undefined) return await serveHttp((log) => startHttpGateway({ ...all, ...listen, log }), invocation);
      return await runStdioGateway(all);
    }
    const { name, ...target } = server;
    if ('url' in target) {
      if (listen === undefined) return await runRemoteProxy({ ...client, ...target, server: name });
      if (target.transport === 'sse') throw new UsageError(NO_SSE, `leave --listen out, or change servers.${name}.transport`);
      const { url, headers } = target;
      const far = { url, ...(headers !== undefined && { headers }), server: name };
      return await serveHttp((log) => startHttpProxy({ ...client, ...far, ...listen, log }), invocation);
    }
    const own = { ...client, ...target, server: name, onReady: (started: StartedServer) => onServer(name, started) };
    if (listen !== undefined) return await serveHttp((log) => startHttpBridge({ ...own, ...listen, log }), invocation);
    return await runStdioProxy(own);
  } finally {
    await guard.close();
    await close();
  }
}

/** What stands on the client's side, whatever stands behind it. */
function clientOf({ io }: Invocation, config: Config, guard: LazyGuard): Omit<StdioClientOptions, 'server' | 'mcp'> & Pick<Config, 'mcp'> {
  const answerAt = pageLinks(config);
  return {
    stdin: io.stdin,
    stdout: io.stdout,
    stderr: io.stderr,
    guard: () => guard.open(),
    mcp: config.mcp,
    approvals: mcpApprovals(config),
    ...(answerAt !== undefined && { answerAt }),
  };
}

function configured(invocation: Invocation): Config {
  const blocked = { audit: 'NOTHING IS BLOCKED; pack baseline', otherwise: 'what no rule allows is refused; pack baseline' };
  return configuredOrWatching(invocation, withAgent(invocation), blocked);
}

/** `--agent` is checked like the variable of that name. */
function withAgent({ io, flags }: Invocation): NodeJS.ProcessEnv {
  const agent = flags.text('agent');
  return agent === undefined ? io.env : { ...io.env, COUNTERSIGN_AGENT: agent };
}

function serverOf({ flags, rest }: Invocation, remote: RemoteServerGiven | undefined): string {
  const name = flags.text('server') ?? (remote === undefined ? serverName(rest) : remoteName(remote.url));
  if (name === undefined)
    throw new UsageError('no name for the server can be read off its command', 'name it: countersign proxy --server NAME -- ...');
  if (!SERVER_SHAPE.test(name)) {
    throw new UsageError('--server: use letters, digits and . _ -, at most 64 characters', 'for example: --server files');
  }
  // An approval of such a call lets a halted session go on.
  if (name.toLowerCase() === OWN_SERVER)
    throw new UsageError(`--server: ${OWN_SERVER} is the server of the calls that Countersign makes`, 'choose another: --server NAME');
  return name;
}

/** Opened at the first call: clients start a server once only to look at it. */
class LazyGuard {
  readonly #config: Config;
  readonly #server: string;
  readonly #output: Output;
  readonly #asked: ConfiguredChannels;
  readonly #policy: Policy;
  readonly #env: NodeJS.ProcessEnv;
  readonly #servers: WatchedServers;
  #opening: Promise<Guard> | undefined;
  #opened:
    | { readonly guard: Guard; readonly store: SqliteStore; readonly watch: PolicyWatch; readonly host: Pick<MonitorHost, 'note'> }
    | undefined;

  /** @throws {CountersignError} `CONFIG_INVALID`, `SCOPE_INVALID`: a proxy does not start with a channel or a decision point that could not be asked. */
  constructor(config: Config, server: string, output: Output, env: NodeJS.ProcessEnv) {
    this.#config = config;
    this.#server = server;
    this.#output = output;
    this.#env = env;
    this.#policy = configuredPolicy(config, { env });
    this.#asked = configuredChannels(config, {
      env,
      // Its terminal carries the protocol.
      terminal: false,
      approval: (id) => this.#approval(id),
      onError: (error) => output.note(`countersign: ${errorText(error)}`),
    });
    this.#servers = watchedServers(config, env, {
      note: (text) => output.note(text),
      // Its first call would open it, too. What is wrong is told then, and again at each call.
      onVerdict: () => void this.open().catch((error: unknown) => output.note(`countersign: ${errorText(error)}`)),
      record: async (topic, data) => {
        await this.open();
        return this.#opened?.host.note(topic, data);
      },
    });
  }

  /** One that failed is tried again. */
  open(): Promise<Guard> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  async #open(): Promise<Guard> {
    const store = openConfigured(this.#config);
    try {
      const page = pageChannelOf(this.#config, this.#output);
      const guard = guardFromConfig(this.#config, store, {
        monitor: this.#servers.monitor,
        policy: this.#policy,
        channels: [...this.#asked.channels, ...elicitationChannel(this.#config), ...(page === undefined ? [] : [page])],
        onError: (error, { during }) => this.#output.note(`countersign: ${safe(during)}: ${errorText(error)}`),
      });
      const watch = watchPolicy(guard, this.#config, {
        env: this.#env,
        policyOf: (config) => configuredPolicy(config, { env: this.#env }),
        onChange: ({ from, to }) => this.#output.note(`countersign: policy ${policyText(from)} was replaced by ${policyText(to)}`),
        onError: (error) => this.#output.note(`countersign: ${errorText(error)}`),
      });
      const host = monitorHost({ store, agent: this.#config.agent, redactor: createRedactor(this.#config.redaction) });
      this.#opened = { guard, store, watch, host };
      this.#output.note(
        `countersign: guarding ${safe(this.#server)} as ${safe(this.#config.agent)}, mode ${this.#config.mode}, ledger ${safe(this.#config.ledger.path)}`,
      );
      return guard;
    } catch (error) {
      // A lease left behind would make this process look like a living guard.
      await store.close();
      throw error;
    }
  }

  watch(server: string, started: StartedServer): void {
    this.#servers.watch({ server, ...started });
  }

  #approval(id: string): Promise<ApprovalRow | undefined> {
    return this.#opened?.store.approval(id) ?? Promise.resolve(undefined);
  }

  async close(): Promise<void> {
    await this.#servers.close();
    // Whoever asked for the guard was told why there is none; here only its end counts.
    await this.#opening?.catch(() => {});
    if (this.#opened === undefined) return this.#servers.settle();
    const { guard, store, watch } = this.#opened;
    await watch.close();
    await guard.close();
    // Looks up how approvals ended, so the store is still open.
    await this.#asked.close();
    await this.#servers.settle();
    this.#opened = undefined;
    await store.close();
  }
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
