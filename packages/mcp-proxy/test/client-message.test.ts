import { describe, expect, it } from 'vitest';
import { type ClientMessage, MAX_TOOL_NAME_CHARS, readClientMessage } from '../src/client-message.ts';
import { MAX_ID_CHARS } from '../src/message.ts';

const read = (text: string): ClientMessage => readClientMessage(Buffer.from(text));
const call = (params: string, id = '"id":1,'): string => `{"jsonrpc":"2.0",${id}"method":"tools/call","params":${params}}`;

/** code, JSON-RPC code, id of the answer. */
function invalid(message: ClientMessage): readonly unknown[] {
  return message.kind === 'invalid' ? [message.code, message.rpcCode, message.idJson] : [message.kind];
}

describe('readClientMessage', () => {
  it.each([
    ['{"name":"a"}', { tool: 'a', args: {}, task: false, stateless: false }],
    ['{"name":"a","arguments":{"b":[1.0,0.1,1e2]}}', { tool: 'a', args: { b: [1, 0.1, 100] } }],
    ['{"name":"a","task":{"ttl":1}}', { task: true }],
    ['{"name":"a","task":null}', { task: true }],
    ['{"name":"constructor"}', { tool: 'constructor' }],
    ['{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}', { stateless: true }],
    [`{"name":"${'n'.repeat(MAX_TOOL_NAME_CHARS)}"}`, { kind: 'call' }],
    ['{"n\\u0061me":"\\u0061"}', { tool: 'a' }],
  ])('reads a call with params %s', (params, expected) => {
    expect(read(call(params))).toMatchObject({ kind: 'call', key: 'n:1', idJson: '1', ...expected });
  });

  it.each([
    ['1', 'n:1'],
    ['-0', 'n:0'],
    ['"1"', 's:1'],
    ['"\\u0031"', 's:1'],
    ['""', 's:'],
    ['9007199254740991', 'n:9007199254740991'],
  ])('remembers id %s as %s and gives it back as it was', (id, key) => {
    expect(read(call('{"name":"a"}', `"id":${id},`))).toMatchObject({ kind: 'call', key, idJson: id });
  });

  it.each([
    ['null', 'null'],
    ['true', 'null'],
    ['{"a":1}', 'null'],
    ['[1]', 'null'],
    ['1.5', '1.5'],
    ['1.0', '1.0'],
    ['1e2', '1e2'],
    ['9007199254740993', '9007199254740993'],
    [`"${'x'.repeat(MAX_ID_CHARS + 1)}"`, `"${'x'.repeat(MAX_ID_CHARS + 1)}"`],
  ])('refuses a call with id %s', (id, answered) => {
    expect(invalid(read(call('{"name":"a"}', `"id":${id},`)))).toEqual(['id-invalid', -32600, answered]);
  });

  it.each([
    ['hello', ['not-json', -32700, 'null']],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call"', ['not-json', -32700, 'null']],
    [`${'['.repeat(300)}${']'.repeat(300)}`, ['too-deep', -32700, 'null']],
    ['[]', ['batch', -32600, 'null']],
    [`[${call('{"name":"a"}')}]`, ['batch', -32600, 'null']],
    ['1', ['not-object', -32600, 'null']],
    ['"tools/call"', ['not-object', -32600, 'null']],
    ['null', ['not-object', -32600, 'null']],
    [`{"x":\r${call('{"name":"a"}')}\r}`, ['carriage-return', -32700, 'null']],
    [call('{"name":"a"}', ''), ['id-missing', -32600, undefined]],
    [call('{"name":"a"}', '"id":1,"id":2,'), ['duplicate-key', -32600, 'null']],
    [call('{"name":"a"}', '"id":1,"method":"ping",'), ['duplicate-key', -32600, 'null']],
    [call('{"name":"a"}', '"id":1,"m\\u0065thod":"ping",'), ['duplicate-key', -32600, 'null']],
    [call('{"name":"a"}', '"id":1,"Method":"ping",'), ['lookalike-key', -32600, 'null']],
    [call('{"name":"a"}', '"id":1,"__proto__":{},'), ['proto-key', -32600, 'null']],
    [call('{"name":"a","name":"b"}'), ['duplicate-key', -32600, '1']],
    [call('{"name":"a","na\\u006de":"b"}'), ['duplicate-key', -32600, '1']],
    [call('{"name":"a","arguments":{"x":{"y":1,"y":2}}}'), ['duplicate-key', -32600, '1']],
    [call('{"name":"a"},"extra":{"y":1,"y":2}'), ['duplicate-key', -32600, '1']],
    [call('{"name":"a","Name":"b"}'), ['lookalike-key', -32600, '1']],
    [call('{"name":"a","argument\\u017f":{}}'), ['lookalike-key', -32600, '1']],
    [call('{"name":"a","na\u200bme":"b"}'), ['lookalike-key', -32600, '1']],
    [call('{"name":"a","arguments":{"__proto__":{"x":1}}}'), ['proto-key', -32600, '1']],
    [call('{"name":"a","arguments":{"n":12345678901234567890}}'), ['lossy-number', -32600, '1']],
    [call('{"name":"a","arguments":{"n":1e400}}'), ['lossy-number', -32600, '1']],
    [call('{"name":"a","_meta":{"n":0.1234567890123456789}}'), ['lossy-number', -32600, '1']],
    [call('{"name":"a","arguments":{"s":"\\ud800"}}'), ['lone-surrogate', -32600, '1']],
    [call('[]'), ['params-invalid', -32602, '1']],
    [call('null'), ['params-invalid', -32602, '1']],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call"}', ['params-invalid', -32602, '1']],
    [call('{"name":"a","arguments":null}'), ['arguments-invalid', -32602, '1']],
    [call('{"name":"a","arguments":[1]}'), ['arguments-invalid', -32602, '1']],
    [call('{"name":"a","arguments":"{}"}'), ['arguments-invalid', -32602, '1']],
    [call('{}'), ['name-invalid', -32602, '1']],
    [call('{"name":""}'), ['name-invalid', -32602, '1']],
    [call('{"name":["a"]}'), ['name-invalid', -32602, '1']],
    [call('{"name":"a\\u0000"}'), ['name-invalid', -32602, '1']],
    [call('{"name":"a\\u007f"}'), ['name-invalid', -32602, '1']],
    [call('{"name":"a\\n"}'), ['name-invalid', -32602, '1']],
    [call(`{"name":"${'n'.repeat(MAX_TOOL_NAME_CHARS + 1)}"}`), ['name-invalid', -32602, '1']],
    ['{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"a"}}', ['method-invalid', -32600, '1']],
    ['{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"a"}}', ['method-invalid', -32600, '1']],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"a"}}', ['method-invalid', -32600, '1']],
    ['{"jsonrpc":"2.0","id":"a","method":"ping","params":{"x":1,"x":2}}', ['duplicate-key', -32600, '"a"']],
    ['{"jsonrpc":"2.0","method":"note","params":{"x":1,"x":2}}', ['duplicate-key', -32600, undefined]],
  ])('refuses %j', (text, expected) => {
    expect(invalid(read(text))).toEqual(expected);
  });

  it('refuses bytes that are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from('{"a":"'), Buffer.of(0xc0, 0xaf), Buffer.from('"}')]);
    expect(invalid(readClientMessage(bytes))).toEqual(['not-utf8', -32700, 'null']);
  });

  it.each([
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', { kind: 'request', key: 'n:1', method: 'ping' }],
    ['{"jsonrpc":"2.0","id":1.5,"method":"ping"}', { kind: 'request', idJson: '1.5' }],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', { kind: 'request', idJson: 'null' }],
    ['{"jsonrpc":"2.0","id":1,"method":"x","params":[1e400,{"a":1,"a":2}]}', { kind: 'request' }],
    ['{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"p","Name":"q"}}', { kind: 'request' }],
    ['{"jsonrpc":"2.0","method":"notifications/initialized"}', { kind: 'other' }],
    ['{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}', { kind: 'response', id: 1, isSound: true }],
    ['{}', { kind: 'other' }],
    ['', { kind: 'other' }],
    [' \t', { kind: 'other' }],
    ['{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"a"}}', { kind: 'cancel', key: 's:a' }],
    ['{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":{}}}', { kind: 'cancel' }],
    ['{"jsonrpc":"2.0","id":9,"method":"notifications/cancelled","params":{"requestId":"a"}}', { kind: 'request' }],
  ])('lets %j pass', (text, expected) => {
    expect(read(text)).toMatchObject(expected);
  });

  it('never repeats what the client wrote', () => {
    const secret = 'sk-live-0123456789';
    for (const text of [
      secret,
      `[{"a":"${secret}"}]`,
      call(`{"name":"a","arguments":{"${secret}":1,"${secret}":2}}`),
      call(`{"name":"${secret}\\n"}`),
    ]) {
      expect(JSON.stringify(read(text))).not.toContain(secret);
    }
  });
});
