/** What clients of both SDKs make of a refusal, also where the tool promised structured content: words and codes, never "not found". */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client as ClientV2 } from '@modelcontextprotocol/client';
import { StdioClientTransport as StdioV2 } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { afterEach, beforeEach, expect, it } from 'vitest';

const server = fileURLToPath(new URL('./fixtures/structured-server.mjs', import.meta.url));
const proxy = fileURLToPath(new URL('./fixtures/proxy-process.ts', import.meta.url));

/** As much of a client as is needed of each. */
interface Caller {
  listTools(): Promise<{ readonly tools: readonly { readonly name: string; readonly outputSchema?: unknown }[] }>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
}

let file: string;
const open: Caller[] = [];
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), 'countersign-refused-')), 'moved');
});
afterEach(async () => {
  for (const client of open.splice(0)) await client.close();
});

const command = () => ({
  command: process.execPath,
  args: ['--conditions=@countersign/source', '--no-warnings', proxy, process.execPath, server, file],
  stderr: 'ignore' as const,
});

async function v1(): Promise<Caller> {
  const client = new Client({ name: 'v1', version: '1.0.0' });
  await client.connect(new StdioClientTransport(command()));
  return client;
}

async function v2(mode: 'auto' | { readonly pin: string }): Promise<Caller> {
  const client = new ClientV2({ name: 'v2', version: '1.0.0' }, { versionNegotiation: { mode } });
  await client.connect(new StdioV2(command()));
  return client;
}

it.each<[string, () => Promise<Caller>]>([
  ['the v1 client', v1],
  ['the v2 client, negotiating', () => v2('auto')],
  ['the v2 client, pinned to 2026-07-28', () => v2({ pin: '2026-07-28' })],
])('%s gets a refusal it can show', async (_who, connect) => {
  const client = await connect();
  open.push(client);
  const { tools } = await client.listTools();
  expect(tools.find(({ name }) => name === 'get_file')?.outputSchema).toBeDefined();
  expect(await client.callTool({ name: 'get_file', arguments: { path: 'a' } })).toMatchObject({ structuredContent: { path: 'a' } });
  // One the client has seen the output schema of, and one that is hidden from it.
  for (const call of [
    { name: 'get_file', arguments: { path: 'private' } },
    { name: 'move_file', arguments: { path: 'a' } },
  ]) {
    const refused = await client.callTool(call);
    expect(refused).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining('POLICY_DENY_HIGH_RISK') }],
      _meta: { 'countersign/reasonCode': 'POLICY_DENY_HIGH_RISK', 'countersign/callId': expect.any(String) },
    });
    expect(JSON.stringify(refused)).not.toMatch(/not found|unknown tool/i);
  }
  expect(existsSync(file)).toBe(false);
});
