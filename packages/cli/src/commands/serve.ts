import { resolve } from 'node:path';
import {
  type ConfiguredChannels,
  configuredChannels,
  configuredClients,
  configuredPolicy,
  type DecisionPointEvent,
  SERVE_CODES,
  type ServedDecisions,
  serveDecisions,
} from '@countersign/connect';
import { type Config, CountersignError, fileAuditSink, type Policy, watchPolicy } from '@countersign/core';
import { guardFromConfig, type SqliteStore } from '@countersign/core/sqlite';
import { AgentGuards, type AgentGuardsOptions } from '../agent-guards.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { openConfigured } from '../open-configured.ts';
import { type Output, safe } from '../output.ts';
import { pageChannelOf } from '../page-link.ts';
import { policyText } from '../policy-text.ts';
import { type Stop, stopOf } from '../stop.ts';

const MAX_PORT = 65_535;

export const serveCommand: Command = {
  name: 'serve',
  summary: 'decide for programs in any language, over HTTP (permits, and AuthZEN 1.0)',
  positionals: [],
  options: [
    { name: 'socket', kind: 'text', value: 'PATH', about: 'unix socket in a folder nobody else can enter; default `serve.socket`' },
    { name: 'port', kind: 'text', value: 'N', about: 'port of 127.0.0.1, for clients with a token; default `serve.port`' },
  ],
  notes: [
    'Without options it listens where the configuration says: `serve.socket`, `serve.port` or both. On the socket whoever can open it asks as the agent of the configuration; tokens of `serve.clients` name other agents, and are needed on the port. Evaluations are advice; only a permit lets a call run.',
    'Calls that need a person wait under `countersign approvals list`. Ctrl-C ends it; permits that have no outcome by then stand open in the ledger.',
  ],
  example: 'countersign serve --socket .countersign/serve/decide.sock',
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { io, flags } = invocation;
  const given = configOf(invocation);
  const port = portOf(flags.text('port'));
  const socket = flags.text('socket');
  const serve = port === undefined && socket === undefined ? given.serve : whereFlagsSay(given, port, socket && resolve(io.cwd, socket));
  const stop = stopOf(invocation);
  try {
    await serveUntil(stop, { ...given, serve }, invocation);
    return EXIT.OK;
  } finally {
    stop.release();
  }
}

function whereFlagsSay({ serve: { clients } }: Config, port: number | undefined, socket: string | undefined): Config['serve'] {
  return { clients, ...(port !== undefined && { port }), ...(socket !== undefined && { socket }) };
}

async function serveUntil(stop: Stop, config: Config, { io, output }: Invocation): Promise<void> {
  const onError = (error: unknown): void => output.note(`countersign: ${errorText(error)}`);
  // Before the ledger is opened: what cannot start leaves nothing behind.
  const clients = configuredClients(config, io.env);
  const policyOf = (of: Config): Policy => configuredPolicy(of, { env: io.env });
  const policy = policyOf(config);
  let store: SqliteStore | undefined;
  const asked = configuredChannels(config, { env: io.env, terminal: false, approval: async (id) => store?.approval(id), onError });
  store = openConfigured(config);
  const guards = agentGuards(config, store, { policy, asked, output, onError });
  try {
    const { port, socket } = config.serve;
    const served = await serveDecisions({
      guardOf: (agent) => guards.of(agent),
      store,
      clients,
      ...(socket !== undefined && { socket: { path: socket, owner: config.agent } }),
      ...(port !== undefined && { port }),
      onEvent: (event) => output.note(eventText(event)),
      onError,
    });
    const watch = watchPolicy(guards, config, {
      env: io.env,
      policyOf,
      onChange: ({ from, to }) => output.note(`countersign: policy ${policyText(from)} was replaced by ${policyText(to)}`),
      onError,
    });
    try {
      greet(served, config, output);
      await stop.asked;
    } finally {
      await watch.close();
      await served.close();
      await guards.close();
      // Looks up how approvals ended, so the store is still open.
      await asked.close();
    }
  } finally {
    await store.close();
  }
}

interface Made {
  readonly policy: Policy;
  readonly asked: ConfiguredChannels;
  readonly output: Output;
  readonly onError: (error: unknown) => void;
}

/** What the tools use is told by nobody: they run in other processes. */
function agentGuards(config: Config, store: SqliteStore, { policy, asked, output, onError }: Made): AgentGuards {
  const { auditLog, ...ledger } = config.ledger;
  // One file has one writer here.
  const audit = auditLog === undefined ? [] : [fileAuditSink(auditLog)];
  const page = pageChannelOf(config, output);
  const channels = [...asked.channels, ...(page === undefined ? [] : [page])];
  const make: AgentGuardsOptions['make'] = (agent, given) =>
    guardFromConfig({ ...config, ledger, agent }, store, { channels, onError, ...given });
  return new AgentGuards({ policy, make, owner: config.agent, audit });
}

function portOf(given: string | undefined): number | undefined {
  if (given === undefined) return undefined;
  const port = /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (port <= MAX_PORT) return port;
  throw new UsageError(`--port: ${JSON.stringify(given)} is no port`, `use a whole number from 0 (any free one) to ${MAX_PORT}`);
}

function greet({ url, socket }: ServedDecisions, { agent, mode, ledger, serve }: Config, output: Output): void {
  const agents = serve.clients.map((client) => client.agent);
  output.result({ ...(url !== undefined && { url }), ...(socket !== undefined && { socket }), mode, ledger: ledger.path, agents });
  if (socket !== undefined) output.note(`decisions at ${safe(socket)}, as ${safe(agent)} for whoever can open it`);
  if (url !== undefined) output.note(`decisions at ${url}, for ${agents.length} client${agents.length === 1 ? '' : 's'} with a token`);
  output.note(`mode ${mode}${mode === 'audit' ? ': nothing is blocked' : ''}, ledger ${safe(ledger.path)}. Ctrl-C: end it.`);
}

function eventText(event: DecisionPointEvent): string {
  if (event.kind === 'refused') return refusedText(event);
  const { kind, permit } = event;
  const { call, agent, sinceMs } = permit;
  const since = new Date(sinceMs).toISOString();
  const whose = `call ${call} of ${safe(agent)}, permitted ${since}`;
  return kind === 'overdue'
    ? `countersign: ${whose}, has no outcome yet`
    : `countersign: ${whose}, has no outcome: whether it ran is unknown, and the ledger says so`;
}

/** Nothing of the request: who sends it is nobody we know. */
function refusedText({ code, count }: Extract<DecisionPointEvent, { readonly kind: 'refused' }>): string {
  const [, why] = SERVE_CODES[code];
  return `countersign: ${count === 1 ? '1 request was' : `${count} requests were`} refused: ${why} [${code}]`;
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
