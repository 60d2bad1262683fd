import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isObject } from '../src/message.ts';
import { LineReader } from '../src/wire.ts';
import { FakeGuard } from './fake-guard.ts';
import { oneLane } from './one-lane.ts';

const PIECES = [
  '{"jsonrpc":"2.0",',
  '"id":1,',
  '"id":"a",',
  '"method":"tools/call",',
  '"method":"ping",',
  '"Method":"tools/call",',
  '"m\\u0065thod":"tools\\/call",',
  '"params":{"name":"denied"}',
  '"params":{"name":"free","name":"denied"}',
  '"params":{"name":"denied","name":"free"}',
  '"params":{"name":"free"}',
  '"params":{"Name":"denied","name":"free"}',
  '"param\u017f":{"name":"denied"}',
  '"__proto__":{"method":"tools/call"},',
  ',"x":[1e400]',
  '}',
  '[',
  ']',
  ',',
  '\r',
  '\r\n',
  '\n',
  '\ufeff',
  '\u0000',
  ' ',
  '{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"denied"}}',
  '{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"free"}}',
];
const whole = fc.constantFrom(
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"denied","arguments":{}}}\n',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"free","arguments":{}}}\n',
  '{"jsonrpc":"2.0","id":1,"params":{"name":"denied"},"method":"ping"}\n',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"denied","name":"free"}}\n',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":\r{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"denied"}}\r}\n',
);
const mutated = fc
  .tuple(whole, fc.array(fc.record({ at: fc.nat(), remove: fc.nat(4), insert: fc.constantFrom('', ...PIECES) }), { maxLength: 3 }))
  .map(([text, edits]) =>
    edits.reduce<string>((line, { at, remove, insert }) => splice(line, at % (line.length + 1), remove, insert), text),
  );
const assembled = fc.array(fc.constantFrom(...PIECES), { maxLength: 10 }).map((pieces) => pieces.join(''));

function splice(text: string, at: number, remove: number, insert: string): string {
  return text.slice(0, at) + insert + text.slice(at + remove);
}

/** What the most lenient server could make of the bytes: any line end, batches, keys in any case, the first or the last of repeated ones. */
function lenientCalls(text: string): string[] {
  return text.split(/[\r\n]/).flatMap((line) => {
    const [last, first] = [parse(line, false), parse(line, true)];
    return [last, first].flat().flatMap((message) => {
      if (!isObject(message) || fold(message, 'method') !== 'tools/call') return [];
      const params = fold(message, 'params');
      return isObject(params) ? [String(fold(params, 'name'))] : [];
    });
  });
}

function parse(line: string, firstWins: boolean): unknown {
  try {
    const text = line.replace(/^\ufeff/, '');
    return JSON.parse(firstWins ? text.replace(/("name":"denied"),"name":"free"/g, '$1') : text);
  } catch {
    return undefined;
  }
}

function fold(object: { readonly [key: string]: unknown }, name: string): unknown {
  const found = Object.entries(object).filter(([key]) => key.normalize('NFKC').toLowerCase() === name);
  return (found.find(([, value]) => value === 'tools/call') ?? found[0])?.[1];
}

describe('whatever a client sends', () => {
  it('no denied call reaches the server, and no call goes undecided', async () => {
    let forwardedCalls = 0;
    await fc.assert(
      fc.asyncProperty(fc.oneof(mutated, assembled), fc.integer({ min: 1, max: 50 }), async (text, chunkBytes) => {
        const guard = new FakeGuard();
        const forwarded: Buffer[] = [];
        const proxy = oneLane({
          guard: async () => guard,
          server: 's',
          toClient: () => {},
          toServer: (bytes) => forwarded.push(bytes),
          log: () => {},
        });
        const reader = new LineReader();
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          for (const line of reader.push(bytes.subarray(at, at + chunkBytes))) proxy.fromClient(line);
        }
        for (const line of reader.end()) proxy.fromClient(line);
        await proxy.decided();
        const names = lenientCalls(Buffer.concat(forwarded).toString());
        expect(names.filter((name) => !guard.calls.some(({ tool }) => tool.name === name))).toEqual([]);
        expect(names).not.toContain('denied');
        forwardedCalls += names.length;
      }),
      { numRuns: 2000 },
    );
    // The property would hold for a proxy that forwards nothing.
    expect(forwardedCalls).toBeGreaterThan(50);
  });
});
