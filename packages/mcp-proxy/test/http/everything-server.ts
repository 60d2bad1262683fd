/** The real server-everything over its own transports, on a port of its own. */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const SERVER = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js');
const ANNOUNCE = new URL('../fixtures/announce-port.mjs', import.meta.url).href;

export const EVERYTHING_OVER_STDIO: readonly string[] = [process.execPath, fileURLToPath(new URL(`file://${SERVER}`)), 'stdio'];

export async function everythingServer(transport: 'streamableHttp' | 'sse'): Promise<{ readonly url: string; close(): Promise<void> }> {
  const child = spawn(process.execPath, ['--import', ANNOUNCE, SERVER, transport], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', (message: { readonly port: number }) => resolve(message.port));
    void exited.then(() => reject(new Error('the server did not start')));
  });
  return {
    url: `http://127.0.0.1:${port}/${transport === 'sse' ? 'sse' : 'mcp'}`,
    close: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
