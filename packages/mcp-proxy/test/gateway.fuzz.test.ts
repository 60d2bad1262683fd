/** Whatever clients and servers write: no crash, no call that was not allowed at a server, no answer of a server to what another was asked. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { JsonObject } from '../src/message.ts';
import { Behind, ScriptedServer } from './scripted-server.ts';

const NAMES = ['a__t', 'b__t', 'a__denied', 'b__denied', 'a__', '__t', 'c__t', 't', 'a__t_h0123456789abcdef', '__proto__'];
const METHODS = [
  'tools/call',
  'tools/list',
  'prompts/get',
  'resources/read',
  'tasks/get',
  'ping',
  'completion/complete',
  'logging/setLevel',
  'initialize',
  'x',
  'subscriptions/listen',
  'server/discover',
];
const URIS = ['countersign:a:x', 'countersign:b:x', 'countersign:', 'x', 'countersign:__proto__:x'];
const id = fc.oneof(fc.integer({ min: -1, max: 6 }), fc.constantFrom('1', '2', 'init', 'a:0', 'b:0', null, 1.5, true));
const params = fc.oneof(
  fc.record({ name: fc.constantFrom(...NAMES), arguments: fc.constantFrom({}, { x: 1 }, 5, null) }, { requiredKeys: [] }),
  fc.record(
    {
      uri: fc.constantFrom(...URIS),
      taskId: fc.constantFrom('a__1', '1', '__'),
      cursor: fc.constantFrom('x', 5),
      requestId: id,
      _meta: fc.constantFrom({ progressToken: 1 }, 5),
    },
    { requiredKeys: [] },
  ),
  fc.jsonValue({ maxDepth: 2 }),
);
const request = fc.record(
  { jsonrpc: fc.constant('2.0'), id, method: fc.constantFrom(...METHODS, 'notifications/cancelled', 'notifications/progress'), params },
  { requiredKeys: ['jsonrpc'] },
);
const answer = fc.record(
  { jsonrpc: fc.constant('2.0'), id, result: fc.jsonValue({ maxDepth: 3 }), error: fc.constantFrom({ code: 1, message: 'x' }, null) },
  { requiredKeys: ['id'] },
);
const message = fc.oneof(request, answer, fc.array(request, { maxLength: 2 }));
/** Text of a message, as it is or with a few characters changed. */
const line = fc
  .tuple(message, fc.array(fc.tuple(fc.nat(), fc.constantFrom('"', '{', '}', ',', ':', '\\', '0', '\ufeff', 'é')), { maxLength: 2 }))
  .map(([value, changes]) =>
    changes.reduce(
      (text, [at, put]) => text.slice(0, at % (text.length + 1)) + put + text.slice((at % (text.length + 1)) + 1),
      JSON.stringify(value),
    ),
  );
const step = fc.tuple(fc.constantFrom('client', 'client', 'a', 'b'), line);

it('holds for random conversations', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
      // What a server says of itself says who it is.
      const servers = ['a', 'b'].map(
        (name) => new ScriptedServer(name, { 'tools/call': () => ({ content: [{ type: 'text', text: `by ${name}` }] }) }),
      );
      const [a, b] = servers as [ScriptedServer, ScriptedServer];
      const behind = new Behind(servers, { listWaitMs: 5 });
      await behind.initialize();
      for (const [who, text] of steps) {
        if (who === 'client') behind.send(text);
        else (who === 'a' ? a : b).raw(`${text}\n`);
      }
      await Promise.all(servers.map((server) => server.decided()));
      for (const server of servers) {
        expect(server.got('tools/call').some(({ params: given }) => (given as JsonObject)['name'] === 'denied')).toBe(false);
        expect(server.guard.calls.every(({ tool }) => tool.server === server.name)).toBe(true);
      }
      for (const out of behind.out) expect(() => JSON.parse(out)).not.toThrow();
      const still = await behind.request('still-there', 'tools/call', { name: 'b__t', arguments: {} });
      expect(still).toMatchObject({ result: { content: [{ text: 'by b' }] } });
      await behind.gateway.close();
    }),
    { numRuns: 300 },
  );
});
