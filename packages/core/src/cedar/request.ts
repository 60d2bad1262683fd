/**
 * A call as Cedar is asked about it.
 *
 *     principal  Agent::"billing-bot"
 *     action     Action::"call"
 *     resource   Tool::"files/read_file", in Server::"files"; Tool::"refund" for a tool without a server
 *     context    args, principal?, session { id, labels, started }, mode, time, annotations, findings, cost?
 *
 * `/` and `%` within a server or tool name are written `%2F` and `%25`: no name can look like another server's tool.
 *
 * | JSON                          | Cedar                                                        |
 * |-------------------------------|--------------------------------------------------------------|
 * | text, true, false             | String, Bool                                                 |
 * | whole number up to 2^53 - 1   | Long                                                         |
 * | other number, 4 decimals      | decimal; with more decimals, or past its range: refused      |
 * | null                          | the entity Null::"null"; Cedar has none                      |
 * | list                          | Set: no order, no repeats                                    |
 * | object                        | Record; `__entity`, `__extn` and `__expr` are refused as keys |
 *
 * Arguments come from a model. Cedar reads an object with such a key as an entity or a decimal, so an argument could become
 * one that no tool will see; what is refused is denied.
 */
import type { Json } from '../call.ts';
import type { PolicyInput } from '../policy/policy.ts';

export const MAX_CONTEXT_DEPTH = 48;
export const MAX_CONTEXT_VALUES = 100_000;
export const MAX_CONTEXT_CHARS = 1_048_576;

/** Keys that Cedar gives a meaning of its own. */
const MEANINGFUL_KEYS: ReadonlySet<string> = new Set(['__entity', '__extn', '__expr']);
/** Cedar's decimal is a 64-bit integer of 1/10,000. */
const MAX_DECIMAL = 922_337_203_685_477;
const DECIMAL_SHAPE = /^-?\d+\.\d{1,4}$/;

export interface EntityId {
  readonly type: string;
  readonly id: string;
}

export type CedarValue = string | number | boolean | readonly CedarValue[] | { readonly [key: string]: CedarValue };

export interface CedarRequest {
  readonly principal: EntityId;
  readonly action: EntityId;
  readonly resource: EntityId;
  readonly context: { readonly [key: string]: CedarValue };
  /** The server of the tool, of which it is a member. */
  readonly server: EntityId | undefined;
}

/** The call cannot be put to Cedar. The message quotes nothing of it. */
export class RequestFault extends Error {}

/** @throws {RequestFault} */
export function cedarRequest(input: PolicyInput): CedarRequest {
  const { tool, session, principal, cost, mode, atMs, agent } = input;
  const left = { values: MAX_CONTEXT_VALUES, chars: MAX_CONTEXT_CHARS };
  const server = tool.server === undefined ? undefined : { type: 'Server', id: escaped(tool.server) };
  const kinds = [...new Set(input.findings.map(({ kind }) => kind))];
  return {
    principal: { type: 'Agent', id: agent },
    action: { type: 'Action', id: 'call' },
    resource: { type: 'Tool', id: server === undefined ? escaped(tool.name) : `${server.id}/${escaped(tool.name)}` },
    server,
    context: {
      args: cedarValue(input.args, 0, left),
      ...(principal !== undefined && { principal }),
      session: { id: session.id, labels: [...session.labels], started: datetime(session.startedAtMs) },
      mode,
      time: datetime(atMs),
      annotations: cedarValue({ ...tool.annotations }, 0, left),
      findings: kinds,
      ...(cost !== undefined && { cost }),
    },
  };
}

function escaped(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('/', '%2F');
}

function datetime(ms: number): CedarValue {
  return { __extn: { fn: 'datetime', arg: new Date(ms).toISOString() } };
}

interface Left {
  values: number;
  chars: number;
}

function cedarValue(value: Json, depth: number, left: Left): CedarValue {
  left.values--;
  if (left.values < 0) throw new RequestFault(`the arguments hold more than ${MAX_CONTEXT_VALUES} values`);
  if (depth > MAX_CONTEXT_DEPTH) throw new RequestFault(`the arguments are nested deeper than ${MAX_CONTEXT_DEPTH}`);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string') return text(value, left);
  if (typeof value === 'number') return number(value);
  if (value === null) return { __entity: { type: 'Null', id: 'null' } };
  if (typeof value !== 'object') throw new RequestFault('the arguments hold something that is no JSON');
  if (isList(value)) return value.map((item) => cedarValue(item, depth + 1, left));
  return record(value, depth, left);
}

/** `Array.isArray` does not narrow readonly arrays. */
function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function text(value: string, left: Left): string {
  left.chars -= value.length;
  if (left.chars < 0) throw new RequestFault(`the arguments are longer than ${MAX_CONTEXT_CHARS} characters`);
  if (!value.isWellFormed()) throw new RequestFault('the arguments hold half a character');
  return value;
}

function number(value: number): CedarValue {
  if (Number.isSafeInteger(value)) return Object.is(value, -0) ? 0 : value;
  // The shortest text that is this number: what a person wrote.
  const written = String(value);
  if (Math.abs(value) >= MAX_DECIMAL || !DECIMAL_SHAPE.test(written))
    throw new RequestFault('the arguments hold a number that Cedar cannot hold exactly');
  return { __extn: { fn: 'decimal', arg: written } };
}

function record(value: { readonly [key: string]: Json }, depth: number, left: Left): CedarValue {
  // Own members, `__proto__` too: it is a key like any other.
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (MEANINGFUL_KEYS.has(key)) throw new RequestFault(`the arguments have a key that means something to Cedar (${key})`);
      return [text(key, left), cedarValue(member, depth + 1, left)];
    }),
  );
}
