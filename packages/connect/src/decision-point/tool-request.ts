/**
 * From a request body to a tool call, all of it from a client. It is the AuthZEN request that `authzen/request.ts` writes:
 *
 *     { "subject":  { "type": "agent", "id": "research-bot", "properties": { "principal": "ana" } },
 *       "action":   { "name": "call", "properties": { "args": { "url": "https://a.example" }, "cost": 2500000 } },
 *       "resource": { "type": "tool", "id": "browser/open" },
 *       "context":  { "session": { "id": "s1" } },
 *       "call":     { "id": "call_1", "turn": "msg_7", "attempt": 1 } }
 *
 * What else stands in the four entities of AuthZEN is ignored, as the standard demands: labels and times that a client claims
 * are no facts. `call` is ours, and strict.
 */
import { OWN_SERVER, type ToolAnnotations, type ToolCall, type ToolRef } from '@countersign/core';
import * as z from 'zod';
import type { Client } from './clients.ts';
import { refuse } from './codes.ts';
import { shaped } from './json-body.ts';

const MAX_NAME_CHARS = 256;
/** What is longer than the server waits is cut to it; what is longer than this is a mistake. */
const MAX_ASKED_WAIT_MS = 86_400_000;
const MAX_ID_CHARS = 2_048;

type Maybe<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

export interface ToolRequest {
  readonly subject: { readonly type: 'agent'; readonly id: string; readonly properties?: Maybe<{ principal: string }> | undefined };
  readonly action: { readonly name: 'call'; readonly properties?: Maybe<{ args: unknown; cost: number }> | undefined };
  readonly resource: {
    readonly type: 'tool';
    readonly id: string;
    readonly properties?: Maybe<{ server: string; name: string; schema: string; annotations: Maybe<ToolAnnotations> }> | undefined;
  };
  readonly context?: Maybe<{ session: { readonly id: string } }> | undefined;
  readonly call?: RequestedCall | undefined;
}

export interface PermitRequest extends ToolRequest {
  readonly call: RequestedCall;
  readonly wait_ms?: number | undefined;
}

type RequestedCall = { readonly id: string } & Maybe<{ turn: string; attempt: number }>;

const name = z.string().min(1).max(MAX_NAME_CHARS);
const subject = z.object({
  type: z.literal('agent', 'subject.type must be "agent"'),
  id: name,
  properties: z.object({ principal: name.optional() }).optional(),
});
const action = z.object({
  name: z.literal('call', 'action.name must be "call"'),
  properties: z.object({ args: z.unknown().optional(), cost: z.int().min(0).optional() }).optional(),
});
const resource = z.object({
  type: z.literal('tool', 'resource.type must be "tool"'),
  id: z.string().min(1).max(MAX_ID_CHARS),
  properties: z
    .object({
      server: name.optional(),
      name: name.optional(),
      schema: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional(),
      annotations: z
        .object({
          title: z.string().max(MAX_NAME_CHARS).optional(),
          readOnlyHint: z.boolean().optional(),
          destructiveHint: z.boolean().optional(),
          idempotentHint: z.boolean().optional(),
          openWorldHint: z.boolean().optional(),
        })
        .optional(),
    })
    .optional(),
});
const context = z.object({ session: z.object({ id: name }).optional() });
const call = z.strictObject({ id: name, turn: name.optional(), attempt: z.int().min(1).max(1_000_000).optional() });

/** `call` finds the approval that an earlier request for the same call opened. */
const evaluationBody: z.ZodType<ToolRequest> = z.object({ subject, action, resource, context: context.optional(), call: call.optional() });
/** Without an id of the call a request that got lost could not be told from a new one. */
const permitBody: z.ZodType<PermitRequest> = z.object({
  subject,
  action,
  resource,
  context: context.optional(),
  call,
  wait_ms: z.int().min(0).max(MAX_ASKED_WAIT_MS).optional(),
});

export function readEvaluation(value: unknown): ToolRequest | Response {
  return shaped(value, evaluationBody);
}

export function readPermitRequest(value: unknown): PermitRequest | Response {
  return shaped(value, permitBody);
}

/** The call a client asks for, or the refusal. */
export function toolCall(body: ToolRequest, client: Client): ToolCall | Response {
  if (body.subject.id !== client.agent) return refuse('AGENT_REFUSED');
  const tool = toolRef(body.resource);
  if (tool === undefined) return refuse('REQUEST_INVALID', TOOL_HINT);
  // Its question would be shown as our own, after a halt, in the words of whoever asks.
  if (tool.server?.toLowerCase() === OWN_SERVER) return refuse('REQUEST_INVALID', OWN_HINT);
  const session = sessionOf(body.context?.session?.id, client);
  if (session === 'refused') return refuse('SESSION_REFUSED');
  const { args = {}, cost } = body.action.properties ?? {};
  const principal = body.subject.properties?.principal;
  return {
    tool,
    args,
    ...session,
    ...(principal !== undefined && { principal }),
    ...(cost !== undefined && { cost }),
    ...(body.call !== undefined && defined(body.call)),
  };
}

const TOOL_HINT =
  'resource.id is the name of the tool, or server/name, with % and / inside a part as %25 and %2F; resource.properties may not name another tool';

const OWN_HINT = `resource.id: ${OWN_SERVER} is the server of the calls that Countersign itself makes`;

/**
 * An agent's name holds no slash, so that no session of one can be spelled as that of another. Without a name it is the one
 * of the guard, which ends with this process.
 */
function sessionOf(given: string | undefined, { agent, sessions }: Client): Pick<ToolCall, 'session'> | 'refused' {
  if (sessions === undefined) return given === undefined ? {} : { session: `${agent}/${given}` };
  const [only] = sessions;
  const session = given ?? (sessions.size === 1 ? only : undefined);
  return session !== undefined && sessions.has(session) ? { session } : 'refused';
}

function toolRef({ id, properties = {} }: ToolRequest['resource']): ToolRef | undefined {
  const parts = id.split('/');
  const decoded = parts.map(decodePart);
  const [first, second] = decoded;
  if (parts.length > 2 || first === undefined || decoded.includes(undefined)) return undefined;
  const named = parts.length === 1 ? { name: first } : { server: first, name: second ?? '' };
  if (Object.values(named).some((part) => part === '' || part.length > MAX_NAME_CHARS)) return undefined;
  const { server, name: tool, schema, annotations } = properties;
  const isSame = (tool === undefined || tool === named.name) && (server === undefined || server === named.server);
  if (!isSame) return undefined;
  return { ...named, ...(schema !== undefined && { schema }), ...(annotations !== undefined && { annotations: defined(annotations) }) };
}

/** One spelling for each part: what would be written differently is refused, so that two ids never mean one tool. */
function decodePart(part: string): string | undefined {
  const decoded = part.replaceAll('%2F', '/').replaceAll('%25', '%');
  return decoded.replaceAll('%', '%25').replaceAll('/', '%2F') === part ? decoded : undefined;
}

/** Without members that are undefined: optional and absent are one thing outside of zod. */
function defined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>;
  };
}
