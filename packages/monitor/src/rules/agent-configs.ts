/**
 * Where agents and MCP clients keep what decides which servers and commands they use. Whoever writes there runs code the next time
 * the client starts, outside of any watched tree.
 */
import { type Folders } from './folders.ts';
import { baseOf } from './path-text.ts';

/** `user`: for everything that user does. `project`: of one folder, and part of many repositories. */
export type AgentConfig = 'user' | 'project';

/** Below a home, also where `XDG_CONFIG_HOME` or macOS put it. */
const USER_FILES: ReadonlySet<string> = new Set([
  '/.openclaw/openclaw.json',
  '/.clawdbot/clawdbot.json',
  '/.moltbot/moltbot.json',
  '/.claude.json',
  '/.claude/settings.json',
  '/.claude/settings.local.json',
  '/.claude/claude.md',
  '/.cursor/mcp.json',
  '/.cursor/hooks.json',
  '/.cursor/cli-config.json',
  '/.codeium/windsurf/mcp_config.json',
  '/.codeium/mcp_config.json',
  '/.gemini/settings.json',
  '/.gemini/antigravity/mcp_config.json',
  '/.codex/config.toml',
  '/.codex/hooks.json',
  '/.config/zed/settings.json',
  '/.config/opencode/opencode.json',
  '/.config/opencode/opencode.jsonc',
  '/.config/goose/config.yaml',
  '/.config/github-copilot/mcp.json',
  '/.copilot/mcp-config.json',
  '/.continue/config.yaml',
  '/.continue/config.json',
  '/.aws/amazonq/mcp.json',
  '/.kiro/settings/mcp.json',
  '/.qwen/settings.json',
  '/.roo/mcp.json',
  '/.lmstudio/mcp.json',
  '/.warp/mcp.json',
  '/.junie/mcp/mcp.json',
]);
const USER_FOLDERS: readonly string[] = [
  '/.claude/hooks/',
  '/.claude/commands/',
  '/.claude/agents/',
  '/.claude/skills/',
  '/.claude/plugins/',
  '/.codex/prompts/',
];
/** Programs with a window, below `~/.config`, `~/Library/Application Support` or `AppData`. */
const APPLICATION_FILES: readonly string[] = [
  '/claude/claude_desktop_config.json',
  '/code/user/mcp.json',
  '/code/user/settings.json',
  '/code - insiders/user/mcp.json',
  '/code - insiders/user/settings.json',
  '/vscodium/user/mcp.json',
  '/vscodium/user/settings.json',
  '/cursor/user/settings.json',
  '/windsurf/user/settings.json',
  '/zed/settings.json',
];
const APPLICATION_FOLDERS: readonly string[] = ['/.config', '/library/application support', '/appdata/roaming', '/.vscode-server/data'];
/** Of a client's extension, which keeps them below its host. */
const EXTENSION_FILES: ReadonlySet<string> = new Set(['cline_mcp_settings.json', 'mcp_settings.json', 'claude_desktop_config.json']);
/** At the end of a path in a project. */
const PROJECT_FILES: readonly string[] = [
  '/.mcp.json',
  '/.cursor/mcp.json',
  '/.cursor/hooks.json',
  '/.vscode/mcp.json',
  '/.gemini/settings.json',
  '/.codex/config.toml',
  '/.claude/settings.json',
  '/.claude/settings.local.json',
  '/.zed/settings.json',
  '/opencode.json',
  '/.roo/mcp.json',
  '/.kiro/settings/mcp.json',
  '/.amazonq/mcp.json',
];

/** Their last names: hardly any path has one of them. */
const PROJECT_NAMES: ReadonlySet<string> = new Set(PROJECT_FILES.map(baseOf));
/** And those of what lies below a home. */
const USER_NAMES: ReadonlySet<string> = new Set([...USER_FILES, ...APPLICATION_FILES].map(baseOf));

export function agentConfigs(folders: Folders): (path: string) => AgentConfig | undefined {
  return (path) => {
    const lower = path.toLowerCase();
    const name = baseOf(lower);
    const home = folders.inAnyHome(path)?.toLowerCase();
    if (home !== undefined && isUserFile(home, name)) return 'user';
    if (EXTENSION_FILES.has(name) && !folders.inWorkspace(path)) return 'user';
    if (!PROJECT_NAMES.has(name) || folders.isPackage(path)) return undefined;
    return PROJECT_FILES.some((file) => lower.endsWith(file)) ? 'project' : undefined;
  };
}

function isUserFile(rest: string, name: string): boolean {
  if (USER_FOLDERS.some((folder) => rest.startsWith(folder))) return true;
  if (!USER_NAMES.has(name)) return false;
  if (USER_FILES.has(rest)) return true;
  return APPLICATION_FOLDERS.some((folder) => rest.startsWith(folder) && APPLICATION_FILES.includes(rest.slice(folder.length)));
}
