/** A gateway before the servers it was given: each behind a target and interposers of its own, all behind one guard. */
import type { Writable } from 'node:stream';
import { GuardSource, type ProxyGuard } from '../guard-source.ts';
import type { HeldTasks } from '../held-tasks.ts';
import { RemoteUpstream, type RemoteUpstreamOptions } from '../http/remote-upstream.ts';
import type { OwnTasks } from '../http/task-owners.ts';
import type { InterposerOptions } from '../interposer.ts';
import { Target, type TargetOptions } from '../target.ts';
import { type StartedServer, Upstream, type UpstreamOptions } from '../upstream.ts';
import { Gateway } from './gateway.ts';
import { peerServer } from './peer-server.ts';

/** One server, by its name in rules: a program, or one over HTTP. */
export type GatewayTarget = { readonly name: string } & (UpstreamOptions | Omit<RemoteUpstreamOptions, 'log'>);

/** What every gateway of one configuration is given, whoever its client is. */
export interface GatewayParts extends Pick<TargetOptions, 'mcp' | 'approvals'>, Pick<InterposerOptions, 'onInvalid' | 'answerAt'> {
  readonly servers: readonly GatewayTarget[];
  /** Of servers that other gateways reach too: what one client made runs there for all of them. */
  readonly tasks?: ReadonlyMap<string, HeldTasks>;
  /** Of those servers: what the client of this gateway may do with what others made there. */
  readonly ownTasks?: (server: string) => OwnTasks | undefined;
  /** Opens the guard, the one of all servers: asked again only after a failure. */
  readonly guard: () => Promise<ProxyGuard>;
  /** Of this program, for clients. */
  readonly version: string;
  readonly stderr: Writable;
  readonly log: (text: string) => void;
  /** The process of a server runs; called for every process. */
  readonly onServer?: (server: string, upstream: StartedServer) => void;
  readonly exitGraceMs?: number;
  readonly greetingWaitMs?: number;
  readonly listWaitMs?: number;
}

export interface GatewayClient {
  /** Takes whole lines, in order. Must not throw. */
  readonly toClient: (bytes: Buffer) => void;
  /** While it does not take more, no server is read. */
  readonly stdout?: Writable;
  /** Whose calls and tasks these are, where clients share a guard. */
  readonly owner?: string;
}

export function assembleGateway(parts: GatewayParts, client: GatewayClient): Gateway {
  const { log, version, greetingWaitMs, listWaitMs, onInvalid, answerAt, onServer, exitGraceMs } = parts;
  const source = new GuardSource(parts.guard, log);
  const servers = parts.servers.map((server) => {
    const target = targetOf(server.name, parts);
    return peerServer({
      target,
      open: () => ('url' in server ? new RemoteUpstream({ ...server, log: target.log }) : new Upstream(server)),
      stderr: parts.stderr,
      interposer: {
        ...(client.owner !== undefined && { owner: client.owner }),
        ...(onInvalid !== undefined && { onInvalid }),
        ...(answerAt !== undefined && { answerAt }),
      },
      ...(client.stdout !== undefined && { stdout: client.stdout }),
      ...(onServer !== undefined && { onReady: (upstream) => onServer(server.name, upstream) }),
      ...(exitGraceMs !== undefined && { exitGraceMs }),
    });
  });
  return new Gateway({
    servers,
    toClient: client.toClient,
    log,
    recordInvalid: async (tool, reason) => source.recordInvalid(tool, reason),
    version,
    ...(greetingWaitMs !== undefined && { greetingWaitMs }),
    ...(listWaitMs !== undefined && { listWaitMs }),
  });
}

function targetOf(server: string, { guard, log, mcp, approvals, tasks: shared, ownTasks: ownOf }: GatewayParts): Target {
  const [tasks, ownTasks] = [shared?.get(server), ownOf?.(server)];
  return new Target({
    guard,
    server,
    log,
    ...(tasks !== undefined && { tasks }),
    ...(ownTasks !== undefined && { ownTasks }),
    ...(mcp !== undefined && { mcp }),
    ...(approvals !== undefined && { approvals }),
  });
}
