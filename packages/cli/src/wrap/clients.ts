/** The MCP clients `wrap` knows: where their files lie and which part of them lists servers. A new one is a row here. */
import { posix, win32 } from 'node:path';
import { JSON_SYNTAX } from './json-syntax.ts';
import type { Syntax } from './syntax.ts';
import { TOML_SYNTAX } from './toml-syntax.ts';

/** Where a user's files lie. */
export interface Home {
  readonly platform: NodeJS.Platform;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Client {
  /** As it is named on the command line. */
  readonly id: string;
  readonly title: string;
  readonly syntax: Syntax;
  /** Paths of the tables that list servers; `*` stands for any key. */
  readonly sections: readonly (readonly string[])[];
  /** The member that holds the headers of a remote server. */
  readonly headers: string;
  /** Absolute paths. */
  userFiles(home: Home): readonly string[];
  /** Parts of the path below the folder of a project; undefined: the client has no such file. */
  readonly projectFile: readonly string[] | undefined;
  /** What makes it read its file again. */
  readonly restart: string;
}

const MCP_SERVERS = [['mcpServers']] as const;

export const CLIENTS: readonly Client[] = [
  {
    id: 'claude-desktop',
    title: 'Claude Desktop',
    syntax: JSON_SYNTAX,
    sections: MCP_SERVERS,
    headers: 'headers',
    userFiles: (home) => [applicationFile(home, 'Claude', 'claude_desktop_config.json')],
    projectFile: undefined,
    restart: 'quit Claude Desktop (closing its window is not enough) and start it again',
  },
  {
    id: 'claude-code',
    title: 'Claude Code',
    syntax: JSON_SYNTAX,
    // The second holds what was added for one project only ("local" scope).
    sections: [['mcpServers'], ['projects', '*', 'mcpServers']],
    headers: 'headers',
    userFiles: (home) => [pathOf(home).join(set(home, 'CLAUDE_CONFIG_DIR') ?? home.folder, '.claude.json')],
    projectFile: ['.mcp.json'],
    restart: 'end Claude Code and start it again; `/mcp` shows its servers',
  },
  {
    id: 'cursor',
    title: 'Cursor',
    syntax: JSON_SYNTAX,
    sections: MCP_SERVERS,
    headers: 'headers',
    userFiles: (home) => [pathOf(home).join(home.folder, '.cursor', 'mcp.json')],
    projectFile: ['.cursor', 'mcp.json'],
    restart: 'restart Cursor, or switch the servers off and on in its settings',
  },
  {
    id: 'vscode',
    title: 'VS Code',
    syntax: JSON_SYNTAX,
    // The second is what `.mcp.json` and Copilot's own file call it.
    sections: [['servers'], ['mcpServers']],
    headers: 'headers',
    userFiles: (home) => ['Code', 'Code - Insiders'].map((product) => applicationFile(home, product, 'User', 'mcp.json')),
    projectFile: ['.vscode', 'mcp.json'],
    restart: 'run `MCP: List Servers` in VS Code and restart each server',
  },
  {
    id: 'windsurf',
    title: 'Windsurf',
    syntax: JSON_SYNTAX,
    sections: MCP_SERVERS,
    headers: 'headers',
    userFiles: (home) => [pathOf(home).join(home.folder, '.codeium', 'windsurf', 'mcp_config.json')],
    projectFile: undefined,
    restart: 'press refresh in the MCP panel of Windsurf, or restart it',
  },
  {
    id: 'gemini-cli',
    title: 'Gemini CLI',
    syntax: JSON_SYNTAX,
    sections: MCP_SERVERS,
    headers: 'headers',
    userFiles: (home) => [pathOf(home).join(home.folder, '.gemini', 'settings.json')],
    projectFile: ['.gemini', 'settings.json'],
    restart: 'end Gemini CLI and start it again; `/mcp` shows its servers',
  },
  {
    id: 'codex',
    title: 'Codex',
    syntax: TOML_SYNTAX,
    sections: [['mcp_servers']],
    headers: 'http_headers',
    userFiles: (home) => [pathOf(home).join(set(home, 'CODEX_HOME') ?? pathOf(home).join(home.folder, '.codex'), 'config.toml')],
    projectFile: ['.codex', 'config.toml'],
    restart: 'end Codex and start it again; `/mcp` shows its servers',
  },
];

/** Where programs with a window keep their files. Empty variables count as unset. */
function applicationFile(home: Home, ...parts: readonly string[]): string {
  const join = (...all: readonly string[]): string => pathOf(home).join(...all);
  if (home.platform === 'darwin') return join(home.folder, 'Library', 'Application Support', ...parts);
  if (home.platform === 'win32') return join(set(home, 'APPDATA') ?? join(home.folder, 'AppData', 'Roaming'), ...parts);
  return join(set(home, 'XDG_CONFIG_HOME') ?? join(home.folder, '.config'), ...parts);
}

function pathOf({ platform }: Home): typeof posix {
  return platform === 'win32' ? win32 : posix;
}

function set({ env }: Home, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === '' ? undefined : value;
}
