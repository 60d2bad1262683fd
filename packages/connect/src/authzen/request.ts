/**
 * One AuthZEN access evaluation request, for example:
 *
 *     { "subject":  { "type": "agent", "id": "billing-bot", "properties": { "principal": "ana" } },
 *       "action":   { "name": "call", "properties": { "args": { "amount": 12 } } },
 *       "resource": { "type": "tool", "id": "shop/refund", "properties": { "server": "shop", "name": "refund" } },
 *       "context":  { "time": "2026-01-02T03:04:05.000Z", "mode": "enforce", "findings": [],
 *                     "session": { "id": "s1", "labels": ["untrusted"], "halted": false } } }
 *
 * `resource.id` is `name`, or `server/name`; a `/` or `%` inside either part is percent-encoded, so that a tool of no server
 * cannot take the id of another server's tool.
 */
import type { PolicyInput, ToolRef } from '@countersign/core';
import { Unusable } from '../http/post.ts';

export const MAX_REQUEST_BYTES = 1_048_576;

/** The request body as JSON text. Throws `Unusable` when it would be too large. Arguments in it are the shown view, `cost` counts 1/1,000,000. */
export function evaluationRequest(input: PolicyInput): string {
  const body = JSON.stringify({
    subject: { type: 'agent', id: input.agent, properties: { principal: input.principal } },
    action: { name: 'call', properties: { args: input.args, cost: input.cost } },
    resource: { type: 'tool', id: resourceId(input.tool), properties: toolProperties(input.tool) },
    context: {
      time: new Date(input.atMs).toISOString(),
      mode: input.mode,
      session: { id: input.session.id, labels: input.session.labels, halted: input.session.halted },
      findings: input.findings.map(({ kind, pointer }) => ({ kind, pointer })),
    },
  });
  const sizeBytes = Buffer.byteLength(body);
  if (sizeBytes > MAX_REQUEST_BYTES) throw new Unusable(`was not asked: the request would exceed ${MAX_REQUEST_BYTES} bytes`);
  return body;
}

function resourceId({ server, name }: ToolRef): string {
  return server === undefined ? encodePart(name) : `${encodePart(server)}/${encodePart(name)}`;
}

function encodePart(part: string): string {
  return part.replaceAll('%', '%25').replaceAll('/', '%2F');
}

function toolProperties({ server, name, schema, annotations }: ToolRef): object {
  return { server, name, schema, annotations };
}
