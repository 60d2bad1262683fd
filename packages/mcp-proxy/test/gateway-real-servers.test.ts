import { mkdtempSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as Client2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as Transport2 } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const { resolve } = createRequire(import.meta.url);
const fixture = fileURLToPath(new URL('fixtures/gateway-process.ts', import.meta.url));
const workspace = realpathSync(mkdtempSync(join(tmpdir(), 'countersign-gateway-')));
const notes = join(workspace, 'notes.txt');
const node = process.execPath;
const servers = [
  { name: 'files', command: node, args: [resolve('@modelcontextprotocol/server-filesystem/dist/index.js'), workspace] },
  {
    name: 'memory',
    command: node,
    args: [resolve('@modelcontextprotocol/server-memory/dist/index.js')],
    env: { ...process.env, MEMORY_FILE_PATH: join(workspace, 'memory.jsonl') },
  },
  { name: 'everything', command: node, args: [resolve('@modelcontextprotocol/server-everything/dist/index.js'), 'stdio'] },
];

function gateway(ledger: string): { readonly command: string; readonly args: string[]; readonly stderr: 'ignore' | 'inherit' } {
  return {
    command: node,
    args: ['--conditions=@countersign/source', '--no-warnings', fixture, JSON.stringify({ servers, ledger })],
    stderr: process.env['GW_DEBUG'] ? 'inherit' : 'ignore',
  };
}

describe.each(['v1', 'v2'])('filesystem, memory and everything behind one endpoint, with the %s client', (which) => {
  const ledger = join(workspace, `ledger-${which}`);
  const asked: string[] = [];
  let client: Client;
  beforeAll(async () => {
    writeFileSync(notes, 'hello');
    const options = { capabilities: { roots: {}, sampling: {}, elicitation: {} } };
    if (which === 'v1') {
      client = new Client({ name: 'test', version: '1.0.0' }, options);
      client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: `file://${workspace}` }] }));
      client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
        const content = { type: 'text' as const, text: `sampled for ${String(params._meta?.['countersign/server'])}` };
        return { role: 'assistant' as const, content, model: 'm' };
      });
      client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
        asked.push(params.message);
        return { action: 'accept' as const, content: { decision: 'approve' } };
      });
      await client.connect(new StdioClientTransport(gateway(ledger)));
    } else {
      const second = new Client2({ name: 'test', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
      await second.connect(new Transport2(gateway(ledger)));
      client = second as unknown as Client;
    }
  });
  afterAll(async () => {
    await client.close();
  });

  it('lists the tools of all under names that say whose they are', async () => {
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['files__read_text_file', 'memory__read_graph', 'everything__echo']));
    expect(names.every((name) => /^(files|memory|everything)__/.test(name))).toBe(true);
    expect(new Set(names).size).toBe(names.length);
  });

  it('calls a tool of each, and the guard decides on the real names', async () => {
    const read = await client.callTool({ name: 'files__read_text_file', arguments: { path: notes } });
    expect(read).toMatchObject({ content: [{ type: 'text', text: 'hello' }] });
    expect(await client.callTool({ name: 'memory__read_graph', arguments: {} })).toMatchObject({
      structuredContent: { entities: expect.any(Array) },
    });
    const echoed = await client.callTool({ name: 'everything__echo', arguments: { message: 'to all' } });
    expect(JSON.stringify(echoed)).toContain('to all');
    const moved = await client.callTool({ name: 'files__move_file', arguments: { source: notes, destination: `${notes}.moved` } });
    expect(moved).toMatchObject({ isError: true, _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK' } });
    await expect(client.callTool({ name: 'other__echo', arguments: {} })).rejects.toThrow(/servers are files, memory, everything/);
  });

  it('gets prompts, completes, and reads listed resources', async () => {
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toContain('everything__simple-prompt');
    expect(await client.getPrompt({ name: 'everything__simple-prompt' })).toMatchObject({ messages: [{ role: 'user' }] });
    const { resources } = await client.listResources();
    const [first] = resources.filter(({ uri }) => uri.startsWith('countersign:everything:'));
    if (first === undefined) throw new Error('no resource of everything is listed');
    const { contents } = await client.readResource({ uri: first.uri });
    expect(contents[0]?.uri).toBe(first.uri);
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toContain(
      'countersign:everything:demo://resource/dynamic/text/{resourceId}',
    );
    const read = await client.readResource({ uri: 'countersign:everything:demo://resource/dynamic/text/1' });
    expect(JSON.stringify(read)).toContain('Resource 1');
    const completed = await client.complete({
      ref: { type: 'ref/prompt', name: 'everything__completable-prompt' },
      argument: { name: 'department', value: 'E' },
    });
    expect(completed.completion.values).toContain('Engineering');
  });

  it('names every server in its instructions', () => {
    expect(client.getInstructions()).toMatch(/^Several servers answer here: files, memory, everything\./);
    expect(client.getServerVersion()).toMatchObject({ name: 'countersign' });
  });

  it.runIf(which === 'v1')('brings what a server asks to the client, with its name, and the answer back', async () => {
    const sampled = await client.callTool({ name: 'everything__trigger-sampling-request', arguments: { prompt: 'p', maxTokens: 5 } });
    expect(JSON.stringify(sampled)).toContain('sampled for everything');
  });

  it('asks the person at the client where policy wants it, about the real tool, with the name of the server in front', async () => {
    const entities = [{ name: 'n', entityType: 'note', observations: ['x'] }];
    const created = await client.callTool({ name: 'memory__create_entities', arguments: { entities } });
    const graph = JSON.stringify(await client.callTool({ name: 'memory__read_graph', arguments: {} }));
    if (which === 'v1') {
      expect(asked).toEqual([expect.stringMatching(/^\[memory\] /)]);
      expect(asked[0]).toContain('memory/create_entities');
      expect(created.isError).not.toBe(true);
      expect(graph).toContain('"n"');
    } else {
      // This client cannot be asked.
      expect(created).toMatchObject({ isError: true, _meta: { 'countersign/approvalId': expect.any(String) } });
    }
  });

  it('leaves config names and real names in the ledger, and no process behind', async () => {
    await client.close();
    await expect.poll(() => readFileSync(ledger, 'utf8'), { timeout: 20_000 }).toContain('allow everything/echo');
    const lines = readFileSync(ledger, 'utf8').split('\n');
    expect(lines).toEqual(expect.arrayContaining(['allow files/read_text_file', 'deny files/move_file', 'allow memory/read_graph']));
    const pids = lines.filter((line) => line.startsWith('started ')).map((line) => Number(line.split(' ')[2]));
    expect(pids.length).toBeGreaterThanOrEqual(3);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });
});
