// Appends every byte it receives to a file of its own, and answers every line that has an id. argv: how the file's name begins.
import { appendFileSync } from 'node:fs';

const file = `${process.argv[2]}.${process.pid}`;
appendFileSync(file, '');
let rest = '';
process.stdin.on('data', (chunk) => {
  appendFileSync(file, chunk);
  const lines = (rest + chunk.toString('utf8')).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    let message;
    try {
      message = JSON.parse(line);
    } catch {
      continue;
    }
    if (message === null || typeof message !== 'object' || message.method === undefined || message.id === undefined) continue;
    const result = resultOf(message);
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result })}\n`);
  }
});

function resultOf({ method, params }) {
  const capabilities = { tools: {}, resources: {} };
  if (method === 'initialize') return { protocolVersion: params?.protocolVersion, capabilities, serverInfo: { name: 'u', version: '0' } };
  if (method === 'server/discover') return { supportedVersions: ['2026-07-28'], capabilities };
  return method === 'tools/list' ? { tools: [{ name: 'free' }, { name: 'denied' }] } : { content: [] };
}
