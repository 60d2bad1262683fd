/**
 * Audit records as OpenTelemetry log records, where the application has `@opentelemetry/api-logs` and configured it.
 * Core depends on none of it: the few members used are described here, and nothing is sent unless this sink is given.
 */
import type { AuditSink } from '../interfaces.ts';
import type { AuditRecord } from './record.ts';

const API = '@opentelemetry/api-logs';
/** Severity numbers of the OpenTelemetry log data model. */
const INFO = { severityNumber: 9, severityText: 'INFO' } as const;
const WARN = { severityNumber: 13, severityText: 'WARN' } as const;

/** What is used of a `Logger` of `@opentelemetry/api-logs`. */
export interface OpenTelemetryLogger {
  emit(record: {
    readonly timestamp: number;
    readonly severityNumber: number;
    readonly severityText: string;
    readonly eventName: string;
    readonly body: string;
    readonly attributes: Readonly<Record<string, string | number | boolean | readonly string[]>>;
  }): void;
}

/**
 * A sink that emits one log record per audit record; attributes are `countersign.*`, never clear text.
 *
 * @param logger - default: the global provider's logger `countersign`, if the package is installed.
 * @returns undefined when no logger was given and the package is not there.
 */
export async function openTelemetryAuditSink(logger?: OpenTelemetryLogger): Promise<AuditSink | undefined> {
  const used = logger ?? (await globalLogger());
  if (used === undefined) return undefined;
  return { write: (record) => used.emit(logRecord(record)), close: () => {} };
}

async function globalLogger(): Promise<OpenTelemetryLogger | undefined> {
  try {
    // By a variable: the package is optional, and compilers and bundlers must not look for it.
    const api = (await import(API)) as { readonly logs?: { getLogger?(name: string): OpenTelemetryLogger } };
    return api.logs?.getLogger?.('countersign');
  } catch {
    return undefined;
  }
}

function logRecord(record: AuditRecord): Parameters<OpenTelemetryLogger['emit']>[0] {
  const attributes: Record<string, string | number | boolean | readonly string[]> = {};
  for (const [name, value] of Object.entries(record)) {
    if (name === 'v' || name === 'at' || name === 'args' || name === 'reason') continue;
    if (isPlain(value)) attributes[`countersign.${name}`] = value;
    else if (typeof value === 'object' && value !== null) {
      for (const [inner, member] of Object.entries(value)) if (isPlain(member)) attributes[`countersign.${name}.${inner}`] = member;
    }
  }
  return {
    timestamp: Date.parse(record.at),
    ...severity(record),
    eventName: `countersign.${record.event}`,
    body: body(record),
    attributes,
  };
}

function severity(record: AuditRecord): typeof INFO | typeof WARN {
  const isTrouble =
    (record.event === 'decision' && record.effect !== 'allow') ||
    (record.event === 'outcome' && record.status === 'error') ||
    record.event === 'verdict' ||
    record.event === 'containment' ||
    (record.event === 'session' && record.what === 'halted') ||
    record.event === 'dropped';
  return isTrouble ? WARN : INFO;
}

function body(record: AuditRecord): string {
  switch (record.event) {
    case 'decision':
      return `${record.effect} ${record.tool.server === undefined ? '' : `${record.tool.server}/`}${record.tool.name} ${record.reason_code}`;
    case 'outcome':
      return `${record.status} after ${record.duration_ms} ms`;
    case 'approval':
      return `${record.answer} by ${record.approver}`;
    case 'grant':
      return `${record.what} by ${record.approver}`;
    case 'session':
      return record.scope === 'ledger' ? `every session ${record.what}` : `session ${record.what}`;
    case 'verdict':
      return `${record.level} by rule ${record.rule}${record.enforced === record.level ? '' : `, enforced as ${record.enforced}`}`;
    case 'containment':
      return `incident ${record.incident} ${record.what}`;
    case 'dropped':
      return `${record.count} records dropped`;
  }
}

function isPlain(value: unknown): value is string | number | boolean | readonly string[] {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}
