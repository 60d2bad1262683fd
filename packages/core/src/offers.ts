/** Which tools are worth offering to an agent: all but those of which every call would be refused now. */
import type { Decision, ToolCall, ToolRef } from './call.ts';
import type { Engine } from './engine.ts';
import { haltedReason } from './halt/reason.ts';
import { rulingOf } from './judge.ts';
import { pinFinding } from './pin/objection.ts';
import { foresee } from './policy/foresight.ts';
import type { SessionFacts } from './policy/policy.ts';
import { isUnusable, type PreparedCall, prepareCall } from './prepare.ts';
import { denial, failure } from './refusal.ts';

/** Whether to offer a tool. It grants nothing: a tool that is offered is decided call by call. */
export interface Offer {
  readonly tool: ToolRef;
  /** Present when every call of the tool would be refused now, whatever its arguments: what it would be told. */
  readonly denial?: Decision;
}

/** As `Guard.offers`. */
export async function offersOf(
  tools: readonly ToolRef[],
  of: Pick<ToolCall, 'session' | 'principal'>,
  engine: Engine,
): Promise<readonly Offer[]> {
  const sessions = new Map<string, SessionFacts>();
  const offers: Offer[] = [];
  for (const tool of tools) {
    const refused = await denialOf(tool, of, sessions, engine);
    offers.push(refused === undefined ? { tool } : { tool, denial: refused });
  }
  return offers;
}

async function denialOf(
  tool: ToolRef,
  of: Pick<ToolCall, 'session' | 'principal'>,
  sessions: Map<string, SessionFacts>,
  engine: Engine,
): Promise<Decision | undefined> {
  // As for a call: the same names are refused, and the same session is meant.
  const prepared = prepareCall({ ...of, tool, args: {} }, engine);
  if (isUnusable(prepared)) return engine.mode === 'audit' ? undefined : denial(prepared.reasonCode, prepared.reason);
  try {
    const { objection } = await pinFinding(prepared.tool, engine);
    if (objection?.effect === 'deny') return denial(objection.reasonCode, objection.reason);
    // Audit mode is there to see what an agent would do.
    if (engine.mode === 'audit') return undefined;
    const session = sessions.get(prepared.session) ?? (await engine.store.session(prepared.session));
    sessions.set(prepared.session, session);
    return foreseenDenial(prepared, session, engine);
  } catch (error) {
    // What cannot be decided on is refused.
    engine.report(error, { during: 'offering tools' });
    return failure(error);
  }
}

function foreseenDenial({ tool, principal }: PreparedCall, session: SessionFacts, engine: Engine): Decision | undefined {
  if (session.halted) return denial('SESSION_HALTED', haltedReason(session.id));
  const { policy } = engine.inForce;
  const { agent, mode } = engine;
  const known = { tool, agent, session, mode, atMs: engine.store.nowMs(), ...(principal !== undefined && { principal }) };
  const foreseen = foresee(policy, known);
  if (foreseen === undefined) return undefined;
  const { decision } = rulingOf(foreseen, policy, mode, engine.redactor);
  return decision.effect === 'deny' ? decision : undefined;
}
