/** Traces of calls. Needs the package `@opentelemetry/api`, and a provider that the application registered. */
export { type OpenTelemetryTracerOptions, openTelemetryTracer } from './tracer.ts';
