import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const packages = ['core', 'connect', 'langchain', 'vercel-ai', 'mcp-proxy', 'monitor', 'cli'];
// Last known heads of the ledgers tests make must not land in the user's own state directory.
const stateDirectory = mkdtempSync(join(tmpdir(), 'countersign-state-'));

export default defineConfig({
  // Tests run from source. Setting conditions replaces vite's defaults, hence the other three.
  ssr: { resolve: { conditions: ['@countersign/source', 'module', 'node', 'development|production'] } },
  test: {
    projects: packages.map((name) => ({
      extends: true as const,
      test: {
        name,
        include: [`packages/${name}/test/**/*.test.ts`],
        env: { COUNTERSIGN_STATE_DIR: stateDirectory },
        setupFiles: ['./scripts/property-tests.ts'],
        testTimeout: 60_000,
        hookTimeout: 60_000,
      },
    })),
  },
});
