/** Run by `mcp.ts`: the proxy before `mcp-server.ts`, its decisions kept in memory or in a signed ledger. */
import { createGuard } from '@countersign/core';
import { memoryStore } from '@countersign/core/testing';
import { runStdioProxy } from '@countersign/mcp-proxy';
import { benchSigner, benchStore } from './fixtures.ts';
import { ECHO_POLICY, ECHO_SERVER, UPSTREAM } from './mcp-fixtures.ts';

const [kind = '', path = ''] = process.argv.slice(2);
const store = kind === 'memory' ? memoryStore() : benchStore(benchSigner(), path);
const guard = createGuard({ agent: 'bench', policy: ECHO_POLICY, store });
const { stdin, stdout, stderr } = process;
process.exitCode = await runStdioProxy({ guard: async () => guard, server: ECHO_SERVER, ...UPSTREAM, stdin, stdout, stderr });
await guard.close();
if ('close' in store) await store.close();
