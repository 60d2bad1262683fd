import { expect, it } from 'vitest';
import { serverName } from '../src/server-name.ts';

it.each([
  [['npx', '-y', '@modelcontextprotocol/server-filesystem', '/data'], 'server-filesystem'],
  [['npx', '-y', '@scope/server@1.2.3'], 'server'],
  [['npx.cmd', 'files@latest'], 'files'],
  [['uvx', 'mcp-server-git', '--repository', '.'], 'mcp-server-git'],
  [['pnpm', 'dlx', 'files'], 'files'],
  [['npm', 'exec', '--', 'files'], 'files'],
  [['node', './build/index.js'], 'index'],
  [['python3', '-m', 'my_server'], 'my_server'],
  [['/usr/local/bin/my server', '--x'], 'my-server'],
  [['C:\\tools\\files.exe'], 'files'],
  [['files'], 'files'],
  [['./a/../b.mjs'], 'b'],
  [['npx', 'x'.repeat(100)], 'x'.repeat(64)],
  [['npx'], undefined],
  [['node', '--version'], undefined],
  [['日本'], undefined],
  [[], undefined],
] as const)('%j is called %s', (command, name) => {
  expect(serverName(command)).toBe(name);
});

it.each(['/', '..', '.', '\u001b[2J', '*', '@', '-x'])('%j gives nothing that could pass for a pattern', (word) => {
  expect(serverName([word]) ?? 'none').toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);
});
