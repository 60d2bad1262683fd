/** The processes of servers whose calls are watched, and what they used so far. */
import type { TreeReading } from './tree-figures.ts';

/** What the trees of one server used, at one time. */
export interface ServerReading {
  readonly rssBytes: number;
  /** CPU time since some time before: only differences say something. */
  readonly spentMs: number;
}

interface Server {
  readonly roots: Set<Root>;
  spentMs: number;
}

interface Root {
  readonly pid: number;
  /** Of each process, as last read; undefined before the first reading. */
  last: ReadonlyMap<number, number> | undefined;
}

export class AdoptedServers {
  readonly #servers = new Map<string, Server>();

  /** @returns ends it, once; what was used stays counted. */
  adopt(name: string, pid: number): () => void {
    const server = this.#servers.get(name) ?? { roots: new Set(), spentMs: 0 };
    this.#servers.set(name, server);
    const root: Root = { pid, last: undefined };
    server.roots.add(root);
    return () => {
      server.roots.delete(root);
      if (server.roots.size === 0 && this.#servers.get(name) === server) this.#servers.delete(name);
    };
  }

  has(name: string): boolean {
    return this.#servers.has(name);
  }

  /** Rejects when one of its trees cannot be read: a part would be no figure of the whole. */
  async read(name: string, tree: (pid: number) => Promise<TreeReading>): Promise<ServerReading | undefined> {
    const server = this.#servers.get(name);
    if (server === undefined) return undefined;
    const readings = await Promise.all([...server.roots].map(async (root) => ({ root, reading: await tree(root.pid) })));
    let rssBytes = 0;
    for (const { root, reading } of readings) {
      rssBytes += reading.rssBytes;
      if (root.last !== undefined) server.spentMs += spentSince(root.last, reading.cpuMs);
      root.last = reading.cpuMs;
    }
    return { rssBytes, spentMs: server.spentMs };
  }
}

/** A process that was not there has used what it has since; so has another one with the pid of one that is gone. */
export function spentSince(last: ReadonlyMap<number, number>, now: ReadonlyMap<number, number>): number {
  let spent = 0;
  for (const [pid, ms] of now) {
    const before = last.get(pid) ?? 0;
    spent += ms >= before ? ms - before : ms;
  }
  return spent;
}
