/** Whoever hangs up before the console asks the kernel who it was may have been the agent. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { guardedPeer } from '../../src/console/guarded-peer.ts';

it.runIf(process.platform === 'linux')('a peer that has hung up may not answer; one that is there may', async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.resume().on('error', () => {}));
  onTestFinished(() => void server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { readonly port: number };
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  const peer = { address: '127.0.0.1', port: client.localPort ?? 0 };
  expect(guardedPeer(peer, port, () => [])).toBe(undefined);
  client.destroy();
  await once(client, 'close');
  expect(guardedPeer(peer, port, () => [])).toMatch(/answered from outside of a guarded process tree: the connection is closed already/);
});
