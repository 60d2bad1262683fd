/** What clients send: whole messages of both eras, and the same bent out of shape. */
import { mutated } from './mutations.ts';
import type { Random } from './random.ts';

export interface Sent {
  /** One message, with its newline. */
  readonly bytes: Buffer;
  /** Untouched: a message that has to arrive as it is, and to be answered under this id. */
  readonly clean?: string;
}

/** Allowed are `free` and `read`; every other name is refused. */
export const ALLOWED: readonly string[] = ['free', 'read'];

const META = '"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","progressToken":"p"}';
const call = (id: string, name: string, rest = ''): string =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":{"path":"/a","n":1}${rest}}}`;

/** With an id in place of `%`. */
const CLEAN: readonly string[] = [
  call('%', 'free'),
  call('%', 'read', `,${META}`),
  ' {"params" : {"arguments":{"s":"\\u0041\\/é\u2028"},"name":"fr\\u0065e"},"id":%, "jsonrpc":"2.0","method":"tools\\/call"}\t',
  '{"jsonrpc":"2.0","id":%,"method":"ping"}',
  '{"jsonrpc":"2.0","id":%,"method":"resources/read","params":{"uri":"file:///a","x":12345678901234567890,"y":{"b":1,"b":2}}}',
  `{"jsonrpc":"2.0","id":%,"method":"server/discover","params":{${META}}}`,
];
const BENT: readonly string[] = [
  ...CLEAN,
  call('%', 'denied'),
  call('%', 'denied', ',"task":{"ttl":1}'),
  call('%', 'denied', `,${META}`),
  call('1', 'denied'),
  '{"jsonrpc":"2.0","id":%,"params":{"name":"denied"},"method":"ping"}',
  '{"jsonrpc":"2.0","method":"tools/call","params":{"name":"denied"}}',
  '{"jsonrpc":"2.0","id":%,"method":"tools/list","params":{"cursor":"tools/call"}}',
  '{"jsonrpc":"2.0","id":%,"method":"tasks/result","params":{"taskId":"t","name":"denied"}}',
  '{"jsonrpc":"2.0","id":%,"method":"tasks/get","params":{"taskId":"t"}}',
  '{"jsonrpc":"2.0","id":%,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"c","version":"1"}}}',
  `{"jsonrpc":"2.0","id":%,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},${META}}}`,
  '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1e2,"progress":0.1234567890123456789}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%}}',
  '{"jsonrpc":"2.0","id":%,"result":{"roots":[{"uri":"file:///a"}]}}',
  '{"jsonrpc":"2.0","id":%,"error":{"code":-1,"message":"tools/call denied"}}',
  '[{"jsonrpc":"2.0","id":%,"method":"tools/call","params":{"name":"denied","arguments":{}}}]',
  '{"jsonrpc":"2.0","id":%,"method":"ping","params":{"inner":{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"denied"}}}}',
];

/** The `index`th message of a client. Ids of clean ones are in no other message. */
export function message(index: number, random: Random): Sent {
  if (random.below(10) === 0) {
    const clean = `"clean-${index}"`;
    return { bytes: Buffer.from(`${random.of(CLEAN).replace('%', () => clean)}\n`), clean: `clean-${index}` };
  }
  const fill = (text: string): string => text.replace('%', () => random.of([String(index), `"b${index}"`, '1', '"1"', '-0', '1.0', '0']));
  const bent = mutated(Buffer.from(fill(random.of(BENT))), () => Buffer.from(fill(random.of(BENT))), random);
  return { bytes: Buffer.concat([bent, Buffer.from('\n')]) };
}
