/** Spans of guarded calls in the trace of the AI SDK, alone and next to the SDK's own telemetry. */
import { openTelemetryTracer } from '@countersign/core/otel';
import { generateText, isStepCount, type Telemetry, tool } from 'ai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { collectTraces, parentOf, type Traces } from '../../core/test/fixtures/traces.ts';
import { approvalFor, approvalOf, guardTools } from '../src/index.ts';
import { alice, approved, bench, modelAsking, turn, user } from './chat.ts';

let traces: Traces;
beforeEach(() => {
  traces = collectTraces();
});
afterEach(async () => {
  await traces.close();
});

const tracer = openTelemetryTracer();
const SECRET = 'sk-live-0123456789abcdef0123456789abcdef';
const inputSchema = z.object({ api_key: z.string().optional() });

function shop() {
  const { guard } = bench({ tracer });
  const work = (name: string) => async (): Promise<string> => {
    await Promise.resolve();
    traces.tracer.startSpan(`${name} work`).end();
    return `${name} done`;
  };
  const made = (name: string) => tool({ inputSchema, execute: work(name) });
  return { guard, tools: guardTools(guard, { read: made('read'), pay: made('pay'), drop: made('drop') }, { session: 'chat-1' }) };
}

/** Opens a span of its own around every tool, as the SDK's OpenTelemetry integration does. */
function sdkTelemetry(): Telemetry {
  return { executeTool: ({ execute, toolCallId }) => traces.within(`sdk ${toolCallId}`, async () => execute()) };
}

describe('the AI SDK in a trace', () => {
  it('a call is a span under the application, and the work of the tool is under it; a denied one says so', async () => {
    const { guard, tools } = shop();
    const calls = [
      { toolName: 'read', input: { api_key: SECRET }, toolCallId: 'c1' },
      { toolName: 'drop', input: {}, toolCallId: 'c2' },
    ];
    await traces.under('request', () =>
      generateText({ model: modelAsking(...calls), tools, prompt: 'go', toolApproval: approvalFor(guard), stopWhen: isStepCount(3) }),
    );
    const read = traces.span('execute_tool read');
    expect(parentOf(read)).toBe(traces.span('request').spanContext().spanId);
    expect(read.attributes).toMatchObject({
      'gen_ai.tool.call.id': 'c1',
      'gen_ai.conversation.id': 'chat-1',
      'countersign.outcome': 'success',
    });
    expect(parentOf(traces.span('read work'))).toBe(read.spanContext().spanId);
    expect(traces.span('execute_tool drop').attributes).toMatchObject({ 'countersign.effect': 'deny', 'gen_ai.tool.call.id': 'c2' });
    expect(JSON.stringify(traces.spans().map(({ attributes, events }) => [attributes, events]))).not.toContain(SECRET);
  });

  it("next to the SDK's own spans: ours is the child of its tool span, and the tool's work is under ours", async () => {
    const { tools } = shop();
    const model = modelAsking({ toolName: 'read', input: {}, toolCallId: 'c1' });
    await generateText({ model, tools, prompt: 'go', stopWhen: isStepCount(3), telemetry: { integrations: [sdkTelemetry()] } });
    const ours = traces.span('execute_tool read');
    expect(parentOf(ours)).toBe(traces.span('sdk c1').spanContext().spanId);
    expect(parentOf(traces.span('read work'))).toBe(ours.spanContext().spanId);
  });

  it('an approval ends a span, and the request that brings its answer links back', async () => {
    const { guard, tools } = shop();
    const options = { session: 'chat-1' };
    const asked = await turn(guard, tools, user, [{ toolName: 'pay', input: {}, toolCallId: 'c1' }]);
    const row = await approvalOf(guard, { toolName: 'pay', toolCallId: 'c1', input: {} }, options);
    const [left] = traces.spans();
    expect(left?.attributes).toMatchObject({ 'countersign.effect': 'require_approval', 'countersign.approval_id': row?.id });
    await guard.approvals.resolve(row?.id ?? '', { decision: 'approve' }, alice);
    await turn(guard, tools, approved(asked));
    const ran = traces.spans().findLast(({ name }) => name === 'execute_tool pay');
    expect(ran?.attributes).toMatchObject({
      'countersign.effect': 'allow',
      'countersign.call_id': left?.attributes['countersign.call_id'],
    });
    expect(ran?.links.map((link) => link.context.traceId)).toEqual([left?.spanContext().traceId]);
  });
});
