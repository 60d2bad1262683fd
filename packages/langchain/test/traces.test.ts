/** Spans of guarded calls in the trace of a LangChain agent. */
import { currentCall } from '@countersign/core';
import { openTelemetryTracer } from '@countersign/core/otel';
import { MemorySaver } from '@langchain/langgraph';
import { createAgent, fakeModel, tool } from 'langchain';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { collectTraces, parentOf, type Traces } from '../../core/test/fixtures/traces.ts';
import { countersignMiddleware, guardTool } from '../src/index.ts';
import { asks, bench, done, notingTool } from './agent.ts';

let traces: Traces;
beforeEach(() => {
  traces = collectTraces();
});
afterEach(async () => {
  await traces.close();
});

const tracer = openTelemetryTracer();
const SECRET = 'sk-live-0123456789abcdef0123456789abcdef';

describe('a LangChain agent in a trace', () => {
  it('its calls are spans under the application, the work of a tool and of a tool inside it under theirs', async () => {
    const { guard } = bench({ tracer });
    const inner = guardTool(
      guard,
      tool(() => traces.tracer.startSpan('inner work').end(), { name: 'read', description: 'r', schema: z.object({}) }),
    );
    const outer = tool(
      async () => {
        await Promise.resolve();
        traces.tracer.startSpan('outer work').end();
        expect(currentCall()?.session).toBe('t1');
        await inner.invoke({});
        return 'done';
      },
      { name: 'read', description: 'r', schema: z.object({}) },
    );
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }, { name: 'drop', args: { amount: 1, api_key: SECRET }, id: 'c2' }))
      .respond(done());
    const agent = createAgent({ model, tools: [outer, notingTool('drop', [])], middleware: [countersignMiddleware(guard)] });
    await traces.under('turn', async () => agent.invoke({ messages: 'go' }, { configurable: { thread_id: 't1' } }));

    const spans = traces.spans().filter(({ name }) => name === 'execute_tool read');
    const [within, around] = spans;
    const turn = traces.span('turn').spanContext();
    expect(spans).toHaveLength(2);
    expect(around?.attributes).toMatchObject({
      'gen_ai.tool.call.id': 'c1',
      'gen_ai.conversation.id': 't1',
      'countersign.outcome': 'success',
    });
    expect(around === undefined ? '' : parentOf(around)).toBe(turn.spanId);
    expect(parentOf(traces.span('outer work'))).toBe(around?.spanContext().spanId);
    expect(within === undefined ? '' : parentOf(within)).toBe(around?.spanContext().spanId);
    expect(parentOf(traces.span('inner work'))).toBe(within?.spanContext().spanId);
    expect(traces.span('execute_tool drop').attributes).toMatchObject({ 'countersign.effect': 'deny', 'countersign.rule': 'rest' });
    expect(new Set(traces.spans().map((span) => span.spanContext().traceId))).toEqual(new Set([turn.traceId]));
    expect(JSON.stringify(traces.spans().map(({ attributes, events }) => [attributes, events]))).not.toContain(SECRET);
  });

  it('an interrupt ends a span, the run after it links back and is the same call', async () => {
    const { guard } = bench({ tracer });
    const ran: unknown[] = [];
    const model = fakeModel()
      .respond(asks({ name: 'pay', args: { amount: 5 }, id: 'c1' }))
      .respond(done());
    const agent = createAgent({
      model,
      tools: [notingTool('pay', ran)],
      middleware: [countersignMiddleware(guard)],
      checkpointer: new MemorySaver(),
    });
    const config = { configurable: { thread_id: 't1' } };
    await agent.invoke({ messages: 'go' }, config);
    const [waiting] = await guard.approvals.list({ state: 'pending' });
    const left = traces.span('execute_tool pay');
    expect(left.attributes).toMatchObject({ 'countersign.effect': 'require_approval', 'countersign.approval_id': waiting?.id });
    await guard.approvals.resolve(waiting?.id ?? '', { decision: 'approve' }, { id: 'alice', method: 'host' });
    await agent.invoke(null, config);
    const resumed = traces.spans().at(-1);
    expect(ran).toHaveLength(1);
    expect(resumed?.attributes).toMatchObject({
      'countersign.effect': 'allow',
      'countersign.call_id': left.attributes['countersign.call_id'],
    });
    expect(resumed?.links.map((link) => link.context.spanId)).toEqual([left.spanContext().spanId]);
  });

  it('a tool that throws ends its span with the class of what it threw', async () => {
    const { guard } = bench({ tracer });
    const broken = tool(
      () => {
        throw new RangeError(`no ${SECRET}`);
      },
      { name: 'read', description: 'r', schema: z.object({}) },
    );
    const model = fakeModel()
      .respond(asks({ name: 'read', args: {}, id: 'c1' }))
      .respond(done());
    await createAgent({ model, tools: [broken], middleware: [countersignMiddleware(guard)] }).invoke({ messages: 'go' });
    expect(traces.span('execute_tool read').attributes).toMatchObject({ 'countersign.outcome': 'error', 'error.type': 'RangeError' });
    expect(JSON.stringify(traces.spans().map(({ attributes, events, status }) => [attributes, events, status]))).not.toContain(SECRET);
  });

  it('what a generator does between its steps is under its call', async () => {
    const { guard } = bench({ tracer });
    const steps = guardTool(
      guard,
      tool(
        async function* () {
          traces.tracer.startSpan('first').end();
          yield 1;
          await Promise.resolve();
          traces.tracer.startSpan('second').end();
          return 'end';
        },
        { name: 'read', description: 'r', schema: z.object({}) },
      ),
    );
    await steps.invoke({});
    const span = traces.span('execute_tool read').spanContext().spanId;
    expect(['first', 'second'].map((name) => parentOf(traces.span(name)))).toEqual([span, span]);
  });
});
