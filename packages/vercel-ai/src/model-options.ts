/** What the middleware of a model is told, read once when it is made. */
import { CountersignError, type ToolRef } from '@countersign/core';
import { annotationsOf, ownProperty } from './call.ts';
import type { GuardToolsOptions } from './options.ts';

export interface ModelMiddlewareOptions {
  /** The conversation, as given to `guardTools`. A function is asked before each call of the model, which knows no tool's `context`. */
  readonly session?: string | (() => string | undefined);
  /** On whose behalf the agent acts, as given to `guardTools`. */
  readonly principal?: string | (() => string | undefined);
  /** As given to `guardTools`. */
  readonly server?: GuardToolsOptions['server'];
  /**
   * Tools that the model's provider runs itself (web search, code execution). `strip` (default): they are not offered. `record`:
   * they are, unless policy denies every call of them, and what ran there is put on record; nothing here can stop it.
   */
  readonly providerTools?: 'strip' | 'record';
  /**
   * Calls that policy denies. `pass` (default): handed on, for `toolApproval` and `execute` to refuse, which tells the model.
   * `filter`: taken out of the response, with a line of text in their place; for programs that call the model themselves, and
   * for tools without `execute`.
   */
  readonly deniedCalls?: 'pass' | 'filter';
  /** The tools, as given to `generateText`: then `filter` decides on what their schemas make of an input, as `execute` does. */
  readonly tools?: Readonly<Record<string, object>>;
}

const CHOICES = { providerTools: ['strip', 'record'], deniedCalls: ['pass', 'filter'] } as const;

/** @throws {CountersignError} `OPTIONS_INVALID` for a word that means nothing: it would be taken for the default. */
export function checkModelOptions(options: ModelMiddlewareOptions): void {
  for (const name of ['providerTools', 'deniedCalls'] as const) {
    const [given, known]: readonly [string | undefined, readonly string[]] = [options[name], CHOICES[name]];
    if (given !== undefined && !known.includes(given))
      throw new CountersignError('OPTIONS_INVALID', `countersignMiddleware: ${name} is one of ${known.join(', ')}`);
  }
}

/** Whose calls the model is asked for. */
export interface Identity {
  readonly session?: string;
  readonly principal?: string;
}

/** @throws whatever the application's functions throw. */
export function identityOf({ session, principal }: ModelMiddlewareOptions): Identity {
  const known = {
    session: typeof session === 'function' ? session() : session,
    principal: typeof principal === 'function' ? principal() : principal,
  };
  return {
    ...(known.session !== undefined && { session: known.session }),
    ...(known.principal !== undefined && { principal: known.principal }),
  };
}

/** How a call of the model is named; as `guardTools` would name it with these options. */
export function namesOf(identity: Identity, { server }: ModelMiddlewareOptions): GuardToolsOptions {
  return { ...identity, ...(server !== undefined && { server }) };
}

/** The tool as the guard knows it. @throws whatever the application's function throws. */
export function toolRefOf(name: string, { server, tools }: ModelMiddlewareOptions): ToolRef {
  const known = typeof server === 'function' ? server(name) : server;
  const annotations = annotationsOf(ownProperty(tools, name));
  return { name, ...(known !== undefined && { server: known }), ...(annotations !== undefined && { annotations }) };
}
