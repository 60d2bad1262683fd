import { describe, expect, it } from 'vitest';
import { CLIENTS } from '../../src/wrap/clients.ts';
import { ownProgram } from '../../src/wrap/program.ts';

function files(platform: NodeJS.Platform, folder: string, env: NodeJS.ProcessEnv = {}): Record<string, readonly string[]> {
  return Object.fromEntries(CLIENTS.map((client) => [client.id, client.userFiles({ platform, folder, env })]));
}

describe('where the files of clients lie', () => {
  it('on macOS', () => {
    expect(files('darwin', '/Users/a')).toEqual({
      'claude-desktop': ['/Users/a/Library/Application Support/Claude/claude_desktop_config.json'],
      'claude-code': ['/Users/a/.claude.json'],
      cursor: ['/Users/a/.cursor/mcp.json'],
      vscode: [
        '/Users/a/Library/Application Support/Code/User/mcp.json',
        '/Users/a/Library/Application Support/Code - Insiders/User/mcp.json',
      ],
      windsurf: ['/Users/a/.codeium/windsurf/mcp_config.json'],
      'gemini-cli': ['/Users/a/.gemini/settings.json'],
      codex: ['/Users/a/.codex/config.toml'],
    });
  });

  it('on Windows', () => {
    const expected = {
      'claude-desktop': ['C:\\Users\\a\\AppData\\Roaming\\Claude\\claude_desktop_config.json'],
      'claude-code': ['C:\\Users\\a\\.claude.json'],
      cursor: ['C:\\Users\\a\\.cursor\\mcp.json'],
      vscode: ['C:\\Users\\a\\AppData\\Roaming\\Code\\User\\mcp.json', 'C:\\Users\\a\\AppData\\Roaming\\Code - Insiders\\User\\mcp.json'],
      windsurf: ['C:\\Users\\a\\.codeium\\windsurf\\mcp_config.json'],
      'gemini-cli': ['C:\\Users\\a\\.gemini\\settings.json'],
      codex: ['C:\\Users\\a\\.codex\\config.toml'],
    };
    expect(files('win32', 'C:\\Users\\a')).toEqual(expected);
    expect(files('win32', 'C:\\Users\\a', { APPDATA: 'C:\\Users\\a\\AppData\\Roaming' })).toEqual(expected);
  });

  it('on Linux', () => {
    const expected = {
      'claude-desktop': ['/home/a/.config/Claude/claude_desktop_config.json'],
      'claude-code': ['/home/a/.claude.json'],
      cursor: ['/home/a/.cursor/mcp.json'],
      vscode: ['/home/a/.config/Code/User/mcp.json', '/home/a/.config/Code - Insiders/User/mcp.json'],
      windsurf: ['/home/a/.codeium/windsurf/mcp_config.json'],
      'gemini-cli': ['/home/a/.gemini/settings.json'],
      codex: ['/home/a/.codex/config.toml'],
    };
    expect(files('linux', '/home/a')).toEqual(expected);
    expect(files('linux', '/home/a', { XDG_CONFIG_HOME: '', CODEX_HOME: '', CLAUDE_CONFIG_DIR: '' })).toEqual(expected);
  });

  it('where variables of the clients say', () => {
    const found = files('linux', '/home/a', { XDG_CONFIG_HOME: '/x', CODEX_HOME: '/c', CLAUDE_CONFIG_DIR: '/d' });
    expect(found['claude-desktop']).toEqual(['/x/Claude/claude_desktop_config.json']);
    expect(found['codex']).toEqual(['/c/config.toml']);
    expect(found['claude-code']).toEqual(['/d/.claude.json']);
  });

  it('in projects', () => {
    expect(Object.fromEntries(CLIENTS.map(({ id, projectFile }) => [id, projectFile?.join('/')]))).toEqual({
      'claude-desktop': undefined,
      'claude-code': '.mcp.json',
      cursor: '.cursor/mcp.json',
      vscode: '.vscode/mcp.json',
      windsurf: undefined,
      'gemini-cli': '.gemini/settings.json',
      codex: '.codex/config.toml',
    });
  });
});

describe('the program that clients start', () => {
  it('is absolute, from source and built', () => {
    expect(ownProgram('file:///opt/cli/dist/wrap/program.js', '/opt/node')).toEqual({ node: '/opt/node', args: ['/opt/cli/dist/main.js'] });
    expect(ownProgram('file:///opt/cli/src/wrap/program.ts', '/opt/node').args).toEqual([
      '--conditions=@countersign/source',
      '--no-warnings',
      '/opt/cli/src/main.ts',
    ]);
  });

  it('warns of a copy in a cache, and refuses a path that clients would read as a variable', () => {
    expect(ownProgram('file:///home/a/.npm/_npx/1f/node_modules/@countersign/cli/dist/wrap/program.js', '/opt/node').warning).toContain(
      'install it',
    );
    expect(() => ownProgram('file:///opt/$HOME/dist/wrap/program.js', '/opt/node')).toThrow(/start of a variable/);
    expect(() => ownProgram('file:///opt/dist/wrap/program.js', '/opt/${x}/node')).toThrow(/start of a variable/);
  });
});
