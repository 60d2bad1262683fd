import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const packages = ['core', 'connect', 'langchain', 'vercel-ai', 'mcp-proxy', 'monitor', 'cli'];
const projects = [
  ...packages.map((name) => ({ name, include: [`packages/${name}/test/**/*.test.ts`] })),
  // Most examples assert their own results under `npm run examples`; what needs a browser is tested.
  { name: 'examples', include: ['examples/*/test/**/*.test.ts'] },
  // Other people's clients, servers and suites, driven through the proxy.
  { name: 'conformance', include: ['conformance/test/**/*.test.ts'] },
];
// What tests leave behind goes with the run. Its name is short: what they lay in it are also sockets, whose paths have a limit.
const temporary = mkdtempSync(join(tmpdir(), 'cs-'));
// As the one it lies in: tests run programs as another user, who must reach them.
chmodSync(temporary, 0o1777);
process.once('exit', () => {
  try {
    rmSync(temporary, { recursive: true, force: true });
  } catch {
    // Something of it is still in use. That is no reason for a run to fail.
  }
});
// Last known heads of the ledgers tests make must not land in the user's own state directory.
const stateDirectory = mkdtempSync(join(temporary, 'state-'));

export default defineConfig({
  // Tests run from source. Setting conditions replaces vite's defaults, hence the other two; `module` is for bundlers, and
  // what packages offer under it does not always run in Node (@opentelemetry/api).
  ssr: { resolve: { conditions: ['@countersign/source', 'node', 'development|production'] } },
  test: {
    projects: projects.map(({ name, include }) => ({
      extends: true as const,
      test: {
        name,
        include,
        // The latter is the name for it on Windows.
        env: { COUNTERSIGN_STATE_DIR: stateDirectory, TMPDIR: temporary, TEMP: temporary },
        setupFiles: ['./scripts/property-tests.ts'],
        // Threads are started from TypeScript here, which Node strips in Wasm. When one of them recompiles the wrapper of an
        // import just as another ends, V8 13.6 frees code of no module, and the process is gone (SIGSEGV in NativeModule::FreeCode).
        execArgv: ['--wasm-wrapper-tiering-budget=1000000000'],
        testTimeout: 60_000,
        hookTimeout: 60_000,
      },
    })),
  },
});
