/**
 * One span per call that comes to the guard: `execute_tool {tool}`, from before the decision until the outcome, so that
 * waiting for people is in it and what the tool does is under it.
 *
 * A denial is an answer and no error: the span ends with `countersign.effect` `deny` and its status unset. A guard that could
 * not decide (ledger, policy, monitor) is an error, and so is a tool that threw. A call that is left pending ends its span;
 * the one that takes it up again links back to it when it is in this process, and has the same `countersign.call_id` anywhere.
 */
import { context, type Link, type Span, type SpanContext, SpanKind, SpanStatusCode, type TracerProvider, trace } from '@opentelemetry/api';
import type { CallEvent, ShownArguments } from '../call-events.ts';
import type { CallTrace, CallTracer } from '../interfaces.ts';
import {
  argumentsAttribute,
  attributeText,
  callAttributes,
  decisionAttributes,
  isFailure,
  outcomeAttributes,
  pendingAttributes,
  verdictAttributes,
} from './attributes.ts';

export interface OpenTelemetryTracerOptions {
  /** Default: the global provider, also one that is registered later. */
  readonly provider?: TracerProvider;
  /** Puts the arguments, secrets replaced, into `gen_ai.tool.call.arguments`; default false. */
  readonly includeArguments?: boolean;
}

/** Calls left pending that spans are linked back to; beyond that the oldest are forgotten. */
const MAX_PENDING = 1000;
/** Of one span; later ones are counted only. */
const MAX_VERDICT_EVENTS = 32;
const VERDICTS = ['FLAG', 'HALT', 'KILL'] as const;
const TRACER_NAME = '@countersign/core';

/** For `createGuard({ tracer: openTelemetryTracer() })`. Sends nothing itself: that is for the application's provider. */
export function openTelemetryTracer(options: OpenTelemetryTracerOptions = {}): CallTracer {
  const pending = new Map<string, SpanContext>();
  return {
    begin(call, shown) {
      const tracer = (options.provider ?? trace).getTracer(TRACER_NAME);
      const around = context.active();
      const name = `execute_tool ${attributeText(call.tool.name)}`;
      const span = tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes: callAttributes(call) }, around);
      return callTrace(span, options.includeArguments === true && span.isRecording() ? shown : undefined, pending);
    },
  };
}

function callTrace(span: Span, shown: ShownArguments | undefined, pending: Map<string, SpanContext>): CallTrace {
  const verdicts = verdictsOn(span);
  return {
    within(run) {
      // What is active where the tool is run, baggage and all, with this span as the parent.
      context.with(trace.setSpan(context.active(), span), run);
    },
    tell(event) {
      switch (event.kind) {
        case 'call-pending':
          span.setAttributes(pendingAttributes(event));
          if (event.waits) return void span.addEvent('countersign.approval-asked');
          span.setAttributes(argumentsAttribute(shown?.()) ?? {});
          remember(event.callId, span.spanContext(), pending);
          return span.end();
        case 'call-allowed':
          span.setAttributes({ ...decisionAttributes(event), ...argumentsAttribute(shown?.()) });
          return linkBack(span, [event.callId, event.edited?.call], pending);
        case 'call-denied':
          span.setAttributes({ ...decisionAttributes(event), ...argumentsAttribute(shown?.()) });
          linkBack(span, [event.callId], pending);
          if (isFailure(event)) fail(span, event.decision.reasonCode);
          return span.end();
        case 'call-judged':
          return verdicts(event);
        case 'call-settled':
          span.setAttributes(outcomeAttributes(event));
          if (event.status === 'error') fail(span, event.errorType);
          return span.end();
      }
    },
  };
}

/** An event for each; the worst, and how many there were, as attributes, which a flood does not push out. No error of the call. */
function verdictsOn(span: Span): (event: Extract<CallEvent, { readonly kind: 'call-judged' }>) => void {
  let count = 0;
  let worst: (typeof VERDICTS)[number] = 'FLAG';
  return (event) => {
    if (count++ < MAX_VERDICT_EVENTS) span.addEvent('countersign.verdict', verdictAttributes(event));
    if (VERDICTS.indexOf(event.level) > VERDICTS.indexOf(worst)) worst = event.level;
    span.setAttributes({ 'countersign.verdict': worst, 'countersign.verdicts': count });
  };
}

/** The class of what failed, never its text. */
function fail(span: Span, type = '_OTHER'): void {
  span.setAttribute('error.type', attributeText(type));
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function remember(callId: string, of: SpanContext, pending: Map<string, SpanContext>): void {
  pending.delete(callId);
  pending.set(callId, of);
  const [oldest] = pending.keys();
  if (pending.size > MAX_PENDING && oldest !== undefined) pending.delete(oldest);
}

function linkBack(span: Span, calls: readonly (string | undefined)[], pending: Map<string, SpanContext>): void {
  for (const call of calls) {
    const earlier = call === undefined ? undefined : pending.get(call);
    // An SDK older than the API knows no links that come later.
    if (call === undefined || earlier === undefined || typeof span.addLink !== 'function') continue;
    pending.delete(call);
    span.addLink({ context: earlier, attributes: { 'countersign.call_id': call } } satisfies Link);
  }
}
