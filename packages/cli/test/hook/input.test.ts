/** Whatever a hook is given that is not what Claude Code gives: it refuses, with exit code 2, and nothing runs. */
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { MAX_INPUT_BYTES, parseEvent } from '../../src/hook/event.ts';
import { toolOf } from '../../src/hook/tool-name.ts';
import { run } from '../harness.ts';
import { type Event, eventText, hook, hooked } from './events.ts';

const TEXT = eventText({});

it.each<readonly [string, string | Buffer]>([
  ['nothing', ''],
  ['no JSON', '{'],
  ['two of them', `${TEXT}${TEXT}`],
  ['no object', '[1]'],
  ['null', 'null'],
  ['a name twice', TEXT.replace('{', '{"tool_name":"Read",')],
  ['a name twice, spelled otherwise', TEXT.replace('{', String.raw`{"tool_\u006eame":"Read",`)],
  ['a name twice in the arguments', TEXT.replace('"command"', '"command":"rm -rf /","command"')],
  ['a prototype', TEXT.replace('"command"', '"__proto__":{},"command"')],
  ['a number no double holds', TEXT.replace('"ls"', '9007199254740993')],
  ['invalid UTF-8', Buffer.concat([Buffer.from(TEXT.slice(0, 40)), Buffer.from([0xff, 0xfe]), Buffer.from(TEXT.slice(40))])],
  ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(TEXT)])],
  ['nesting without end', TEXT.replace('"ls"', '['.repeat(100_000) + ']'.repeat(100_000))],
])('refuses %s', async (_what, bytes) => {
  const ran = await hook(await hooked(), Buffer.from(bytes));
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain('this call did not run');
});

it.each<readonly [string, Event]>([
  ['no event', { hook_event_name: undefined }],
  ['another event', { hook_event_name: 'PermissionRequest' }],
  ['an event in other letters', { hook_event_name: 'pretooluse' }],
  ['no session', { session_id: undefined }],
  ['a session that is no text', { session_id: 7 }],
  ['an empty session', { session_id: '' }],
  ['a session with control characters', { session_id: 'a\u0007b' }],
  ['a session that is too long', { session_id: 'a'.repeat(300) }],
  ['no tool', { tool_name: undefined }],
  ['a tool with control characters', { tool_name: 'Ba\nsh' }],
  ['no arguments', { tool_input: undefined }],
  ['arguments that are a list', { tool_input: ['ls'] }],
  ['arguments that are a text', { tool_input: 'ls' }],
  ['no id', { tool_use_id: undefined }],
  ['an empty id', { tool_use_id: '' }],
  ['an id that is too long', { tool_use_id: 'a'.repeat(300) }],
  ['an MCP tool without a server', { tool_name: 'mcp____x' }],
  ['an MCP tool without a name', { tool_name: 'mcp__files__' }],
  ['an MCP tool that can be read in two ways', { tool_name: 'mcp__files__x__read_a' }],
  ['an MCP tool with three underscores', { tool_name: 'mcp__files___read_a' }],
  ["an MCP server with the name of Claude Code's own tools", { tool_name: 'mcp__claude-code__Read' }],
])('refuses %s', async (_what, event) => {
  expect(await hook(await hooked(), event)).toMatchObject({ code: 2, stdout: '' });
});

it('refuses more than it reads, and stops reading', async () => {
  const piece = Buffer.alloc(1_048_576, 0x20);
  let given = 0;
  const endless = new Readable({
    read() {
      given++;
      this.push(piece);
    },
  });
  const ran = await run(['hook', 'claude-code', '--config', 'x.yaml'], { stdin: endless });
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain('larger than');
  expect(given).toBeLessThan(MAX_INPUT_BYTES / piece.length + 8);
});

it('takes members it does not know, and reads none from a prototype', () => {
  const event = parseEvent(Buffer.from(eventText({ prompt_id: 'p', agent_id: 'a', effort: { level: 'high' }, later: [1, { x: null }] })));
  expect(event).toMatchObject({ name: 'PreToolUse', toolName: 'Bash', toolUseId: 'toolu_1', response: undefined });
  expect(() => parseEvent(Buffer.from(eventText({ tool_name: undefined })))).toThrow('tool_name');
});

it.each<readonly [string, readonly string[], unknown]>([
  ['Bash', [], { server: 'claude-code', name: 'Bash' }],
  ['mcp__files__read_file', [], { server: 'files', name: 'read_file' }],
  ['mcp__plugin_a_b__x', [], { server: 'plugin_a_b', name: 'x' }],
  ['mcp__a__b__c', ['a'], { server: 'a', name: 'b__c' }],
  ['mcp__a__b__c', ['a__b'], { server: 'a__b', name: 'c' }],
  ['mcp__a__b__c', ['a', 'a__b'], { fault: expect.stringContaining('more than one') }],
  ['mcp__a__b__c', ['x'], { fault: expect.stringContaining('--mcp-server') }],
  ['mcp__', [], { fault: expect.stringContaining('names no server') }],
  ['mcp_files', [], { server: 'claude-code', name: 'mcp_files' }],
  ['mcp__countersign__after_halt', [], { fault: expect.stringContaining('countersign/after_halt') }],
  ['mcp__countersign__after_halt', ['countersign'], { fault: expect.stringContaining('countersign/after_halt') }],
  ['mcp__countersign__read', [], { server: 'countersign', name: 'read' }],
  ['mcp__constructor__toString', [], { server: 'constructor', name: 'toString' }],
])('the tool %s with %j is %j', (name, servers, tool) => {
  expect(toolOf(name, servers)).toEqual(tool);
});
