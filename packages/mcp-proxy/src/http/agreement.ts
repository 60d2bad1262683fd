/**
 * The headers that say what a body says (protocol 2026-07-28: `Mcp-Method`, `Mcp-Name`, `Mcp-Param-*`, `MCP-Protocol-Version`). For
 * a `tools/call` they must agree: what routes by the header and what runs the body would see two calls. For every other message the
 * server answers, as it does without a proxy.
 */
import type { ClientMessage, InvalidMessage } from '../client-message.ts';
import { isObject, member, RPC_ERRORS } from '../message.ts';
import { decodeHeader, type ParamHeaders } from './param-headers.ts';

const CALL_METHOD = 'tools/call';
const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

/**
 * @param headerOf - by its name in small letters.
 * @returns why the message is refused; undefined if nothing contradicts it.
 */
export function contradiction(
  message: ClientMessage,
  headerOf: (name: string) => string | undefined,
  params: ParamHeaders,
): InvalidMessage | undefined {
  const method = headerOf('mcp-method');
  if (message.kind === 'invalid') return undefined;
  if (message.kind !== 'call') {
    if (method === undefined || method.trim().toLowerCase() !== CALL_METHOD) return undefined;
    return mismatch('mcp-method', message.kind === 'request' ? message.idJson : 'null');
  }
  const { tool, args, idJson } = message;
  const meta = member(message.params, '_meta');
  const claimed = isObject(meta) ? member(meta, VERSION_KEY) : undefined;
  const version = headerOf('mcp-protocol-version');
  const name = headerOf('mcp-name');
  const header =
    (method !== undefined && method !== CALL_METHOD && 'mcp-method') ||
    (name !== undefined && decodeHeader(name) !== tool && 'mcp-name') ||
    (typeof claimed === 'string' && version !== undefined && version !== claimed && 'mcp-protocol-version') ||
    (claimed !== undefined && params.disagreement(tool, args, headerOf)) ||
    undefined;
  return header === undefined ? undefined : mismatch(header, idJson, tool);
}

function mismatch(header: string, idJson: string, tool?: string): InvalidMessage {
  const text = `the header ${header} and the message disagree`;
  return {
    kind: 'invalid',
    code: 'header-mismatch',
    text,
    rpcCode: RPC_ERRORS.HEADER_MISMATCH,
    idJson,
    couldBeCall: true,
    ...(tool !== undefined && { tool }),
  };
}
