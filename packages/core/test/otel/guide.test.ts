/** What docs/guides/observability.md shows, running. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type CallEvent, createGuard, definePolicy } from '../../src/index.ts';
import { openTelemetryTracer } from '../../src/otel/index.ts';
import { fixedClock, memoryStore } from '../../src/testing/index.ts';
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

it('calls that hang', async () => {
  const clock = fixedClock(0);
  const guard = createGuard({ agent: 'billing-bot', policy, store: memoryStore({ clock }) });
  const { callId } = await guard.authorize({ tool: { name: 'refund' }, args: { amount: 5 }, session: 's1' });
  clock.advance(60_000);
  const lines: object[] = [];
  const logger = { warn: (line: object) => void lines.push(line) };
  for (const { callId, tool, session, sinceMs } of guard.openCalls({ olderThanMs: 60_000 })) {
    logger.warn({ kind: 'call-open', callId, tool: tool.name, session, since: new Date(sinceMs).toISOString() });
  }
  expect(lines).toEqual([{ kind: 'call-open', callId, tool: 'refund', session: 's1', since: '1970-01-01T00:00:00.000Z' }]);
});
