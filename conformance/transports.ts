/** `countersign proxy` between a suite and a server, over whatever it speaks on its two sides. The suites speak HTTP only. */
import { spawn } from 'node:child_process';
import type { Served, Server } from './servers.ts';
import type { Workplace } from './workplace.ts';

export interface Between {
  readonly server: Server;
  /** The server itself, over HTTP. */
  readonly url: string;
  readonly workplace: Workplace;
}

export interface Transport {
  readonly name: string;
  /** What is behind the first proxy speaks stdio. */
  readonly isBridge: boolean;
  start(between: Between): Promise<Served>;
}

export const TRANSPORTS: readonly Transport[] = [
  { name: 'http-http', isBridge: false, start: (between) => listening(between, '--url', between.url) },
  { name: 'http-stdio', isBridge: true, start: (between) => listening(between, '--', ...between.server.stdio) },
  // Two proxies, each with a decision and a record of its own: the second one is a client over stdio of a server over HTTP.
  {
    name: 'http-stdio-http',
    isBridge: true,
    start: (between) =>
      listening(between, '--', ...between.workplace.countersign('proxy', '--server', between.server.name, '--url', between.url)),
  },
];

const ADDRESS = /clients connect to (\S+)/;

/** @returns once clients can connect; its `close` once the ledger is closed. */
function listening({ server, workplace }: Between, ...upstream: readonly string[]): Promise<Served> {
  const [program, ...args] = workplace.countersign('proxy', '--server', server.name, '--listen', '127.0.0.1:0', ...upstream);
  const child = spawn(program, args, { env: workplace.env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const close = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  return new Promise((resolve, reject) => {
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const url = ADDRESS.exec(said)?.[1];
      if (url !== undefined) resolve({ url, close });
    });
    child.once('error', reject);
    void exited.then(() => reject(new Error(`the proxy did not start: ${said}`)));
  });
}
