/**
 * Two servers that others wrote behind one endpoint and one policy: a client sees one MCP server, every call is decided under the name
 * in the configuration, and one ledger has all of it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const CLI = fileURLToPath(new URL('../../packages/cli/src/main.ts', import.meta.url));
const NODE = ['--conditions=@countersign/source', '--no-warnings'];
const { resolve } = createRequire(import.meta.url);
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-gateway-')));
const { PATH = '', HOME = '' } = process.env;
const env = { PATH, HOME, COUNTERSIGN_STATE_DIR: join(folder, 'state'), NO_COLOR: '1' };
const server = (name: string): string => JSON.stringify(resolve(`@modelcontextprotocol/${name}/dist/index.js`));

try {
  mkdirSync(join(folder, 'desk'));
  writeFileSync(join(folder, 'desk', 'order.txt'), 'three crates of tea');
  writeFileSync(
    join(folder, 'countersign.yaml'),
    `version: 1
agent: desk-bot
policy:
  id: desk
  rules:
    - { id: reads, tools: ["files/read_*", "files/list_*"], effect: allow }
    - { id: kept, tools: ["files/write_*", "files/edit_*", "files/move_*"], effect: deny, reason: papers on the desk stay as they are }
    - { id: notes, tools: ["memory/create_entities", "memory/read_graph"], effect: allow }
ledger: { path: ledger.db, sign: none }
servers:
  files: { command: ${JSON.stringify(process.execPath)}, args: [${server('server-filesystem')}, desk], cwd: . }
  memory: { command: ${JSON.stringify(process.execPath)}, args: [${server('server-memory')}], env: { MEMORY_FILE_PATH: ${JSON.stringify(join(folder, 'memory.jsonl'))} } }
`,
  );

  const client = new Client({ name: 'desk', version: '1.0.0' });
  await client.connect(
    new StdioClientTransport({ command: process.execPath, args: [...NODE, CLI, 'proxy'], cwd: folder, env, stderr: 'ignore' }),
  );
  const { tools } = await client.listTools();
  const offered = tools.map(({ name }) => name);
  say('one list has the tools of both', offered.includes('files__read_text_file') && offered.includes('memory__read_graph'));
  say('what no call could do is not offered', !offered.includes('files__write_file') && !offered.includes('memory__delete_entities'));

  const order = await client.callTool({ name: 'files__read_text_file', arguments: { path: join(folder, 'desk', 'order.txt') } });
  say('the order was read from one server', JSON.stringify(order.content).includes('three crates of tea'));
  const entities = [{ name: 'order', entityType: 'note', observations: ['three crates of tea'] }];
  await client.callTool({ name: 'memory__create_entities', arguments: { entities } });
  const graph = await client.callTool({ name: 'memory__read_graph', arguments: {} });
  say('and kept in the other', JSON.stringify(graph.content).includes('three crates of tea'));

  const path = join(folder, 'desk', 'new.txt');
  const written = await client.callTool({ name: 'files__write_file', arguments: { path, content: 'x' } });
  say('the rule that keeps the papers stopped a write', written.isError === true && !existsSync(path));
  console.log(textOf(written.content));
  await client.close();

  const found = spawnSync(process.execPath, [...NODE, CLI, 'filter', '--json'], { cwd: folder, env, encoding: 'utf8' });
  say('the ledger names both servers', /"server":\s*"files"/.test(found.stdout) && /"server":\s*"memory"/.test(found.stdout));
  const verified = spawnSync(process.execPath, [...NODE, CLI, 'verify'], { cwd: folder, env, encoding: 'utf8' });
  say('and is valid', verified.status === 0);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function textOf(content: unknown): string {
  const [block] = content as readonly { readonly text?: string }[];
  return block?.text ?? '';
}

function say(what: string, isSo: boolean): void {
  if (!isSo) throw new Error(`not so: ${what}`);
  console.log(what);
}
