/**
 * Names of Claude Code's tools as rules know them: `Bash` is `claude-code/Bash`, and `mcp__files__read_file` is
 * `files/read_file`, as it is behind the proxy, so that one rule holds for both.
 *
 * Names of MCP servers and tools may hold `__` themselves, and then `mcp__a__b__c` says two things. A rule must not be passed
 * by reading it the other way: such a name is refused until `--mcp-server` says how it is meant.
 */
import { AFTER_HALT, type ToolRef } from '@countersign/core';

/** Server of the tools that Claude Code has of its own. */
export const OWN_SERVER = 'claude-code';
const MCP_PREFIX = 'mcp__';
const SEPARATOR = '__';

export type NamedTool = Required<Pick<ToolRef, 'server' | 'name'>> | { readonly fault: string };

/** @param servers - names of MCP servers that are known to hold `__`, or whose tools do. */
export function toolOf(name: string, servers: readonly string[]): NamedTool {
  if (!name.startsWith(MCP_PREFIX)) return { server: OWN_SERVER, name };
  const rest = name.slice(MCP_PREFIX.length);
  const known = servers.filter((server) => rest.startsWith(server + SEPARATOR) && rest.length > server.length + SEPARATOR.length);
  if (known.length > 1) return { fault: `more than one --mcp-server fits the tool name: ${known.join(', ')}` };
  const [server] = known;
  const at = server === undefined ? rest.indexOf(SEPARATOR) : server.length;
  // `a___b` could be `a` and `_b`, or `a_` and `b`.
  const isAmbiguous = server === undefined && rest.indexOf(SEPARATOR, at + 1) >= 0;
  if (at < 1 || at + SEPARATOR.length >= rest.length) return { fault: 'the name of the MCP tool names no server, or no tool' };
  if (isAmbiguous) return { fault: 'the name of the MCP tool can be read in more than one way: name its server with --mcp-server' };
  const found = { server: rest.slice(0, at), name: rest.slice(at + SEPARATOR.length) };
  // Its question would be shown as our own, after a halt.
  if (found.server === AFTER_HALT.server && found.name === AFTER_HALT.name)
    return { fault: `no tool of an MCP server may be called ${AFTER_HALT.server}/${AFTER_HALT.name}: rename it` };
  // Its tools would pass for Claude Code's own.
  return found.server === OWN_SERVER ? { fault: `an MCP server may not be called ${OWN_SERVER}: rename it` } : found;
}
