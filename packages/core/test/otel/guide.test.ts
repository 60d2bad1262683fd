/** What docs/guides/observability.md shows, running. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type CallEvent, createGuard, definePolicy } from '../../src/index.ts';
import { openTelemetryTracer } from '../../src/otel/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { collectTraces, type Traces } from '../fixtures/traces.ts';

let traces: Traces;
beforeEach(() => {
  traces = collectTraces();
});
afterEach(() => traces.close());

const policy = definePolicy({
  id: 'refunds',
  evaluate: ({ args }) => ((args as { amount: number }).amount > 500 ? { effect: 'deny', reason: 'over 500' } : { effect: 'allow' }),
});

it('traces', async () => {
  const store = memoryStore();
  const guard = createGuard({ agent: 'billing-bot', policy, store, tracer: openTelemetryTracer() });
  await guard.run({ tool: { name: 'refund' }, args: { amount: 120 } }, () => 'refunded');
  expect(traces.span('execute_tool refund').attributes).toMatchObject({
    'gen_ai.agent.name': 'billing-bot',
    'countersign.effect': 'allow',
  });
});

it("the application's log", async () => {
  const lines: object[] = [];
  const logger = { info: (line: object) => void lines.push(line) };
  const onEvent = (event: CallEvent): void => {
    const { kind, callId, session, tool } = event;
    const denied = event.kind === 'call-denied' ? { reasonCode: event.decision.reasonCode, reason: event.decision.reason } : {};
    logger.info({ kind, callId, session, tool: tool.name, ...denied });
  };
  const guard = createGuard({ agent: 'billing-bot', policy, store: memoryStore(), onEvent });
  const { callId } = await guard.authorize({ tool: { name: 'refund' }, args: { amount: 501 }, session: 's1' });
  expect(lines).toEqual([
    { kind: 'call-denied', callId, session: 's1', tool: 'refund', reasonCode: 'POLICY_DENY_HIGH_RISK', reason: 'over 500' },
  ]);
});
