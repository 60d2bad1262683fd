/** The servers the suites are run against, over each of their own transports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { startFixture } from './fixture/http.ts';

export interface Served {
  readonly url: string;
  close(): Promise<void>;
}

export interface Server {
  /** Its name in rules. */
  readonly name: string;
  /** It speaks 2026-07-28. One that does not refuses that over HTTP, and over stdio answers as if a session had begun. */
  readonly isStateless: boolean;
  http(): Promise<Served>;
  /** Program and arguments. */
  readonly stdio: readonly [string, ...string[]];
}

const EVERYTHING = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
const ANNOUNCE = new URL('announce-port.mjs', import.meta.url).href;

export const SERVERS: readonly Server[] = [
  {
    name: 'fixture',
    isStateless: true,
    http: () => startFixture(),
    stdio: [process.execPath, fileURLToPath(new URL('fixture/stdio.ts', import.meta.url))],
  },
  {
    name: 'everything',
    isStateless: false,
    http: everythingOverHttp,
    stdio: [process.execPath, EVERYTHING, 'stdio'],
  },
];

async function everythingOverHttp(): Promise<Served> {
  const child = spawn(process.execPath, ['--import', ANNOUNCE, EVERYTHING, 'streamableHttp'], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await portOf(child, exited);
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    close: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

function portOf(child: ChildProcess, exited: Promise<void>): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('message', (message: { readonly port: number }) => resolve(message.port));
    void exited.then(() => reject(new Error('the server did not start')));
  });
}
