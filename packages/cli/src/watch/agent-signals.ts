/**
 * Signals and job control while an agent shares our terminal. Ctrl-C and Ctrl-Z reach the agent from the terminal itself: what they mean
 * is for the agent to say, as below a shell. What is sent to us alone is handed on once; the second time it is meant for all of the tree.
 */
import type { Watched } from '@countersign/monitor';

export interface AgentSignalsOptions {
  readonly watched: Watched;
  /** The agent has our terminal as its standard input. */
  readonly isOnTerminal: boolean;
  readonly tell: (text: string) => void;
}

export interface AgentSignals {
  /** Nothing is left but what the agent started, or it is stopped: a signal is for us. */
  isOurs: boolean;
  /** Aborted when what is left is not to be waited for. */
  readonly enough: AbortSignal;
  release(): void;
}

const FROM_TERMINAL = ['SIGINT', 'SIGQUIT'] as const;
const FROM_OTHERS = ['SIGTERM', 'SIGHUP'] as const;
/** A program that handles Ctrl-Z puts the terminal in order before it stops. */
const MAX_STOP_MS = 1_000;
const LOOK_MS = 20;

export function agentSignals({ watched, isOnTerminal, tell }: AgentSignalsOptions): AgentSignals {
  const { warden } = watched;
  const enough = new AbortController();
  const state = { isOurs: false };
  let asked = 0;
  const end = (name: NodeJS.Signals, isFromTerminal: boolean): void => {
    const isForUs = state.isOurs || warden.isHolding;
    // The terminal has told the agent already.
    if (isFromTerminal && !isForUs) return;
    asked++;
    if (asked === 1 && warden.isHolding)
      return tell(`countersign: the agent is stopped, and waits for an answer; once more ends all of it`);
    if (asked === 1 && !isForUs && watched.signal(name)) return;
    tell('countersign: ending all of it');
    void warden.kill().then(() => enough.abort());
  };
  const handlers: (readonly [NodeJS.Signals, () => void])[] = [
    ...FROM_TERMINAL.map((name) => [name, () => end(name, isOnTerminal)] as const),
    ...FROM_OTHERS.map((name) => [name, () => end(name, false)] as const),
    ...(isOnTerminal
      ? ([['SIGTSTP', () => void stopWith(watched)] as const, ['SIGCONT', () => void warden.proceed()] as const] as const)
      : []),
  ];
  for (const [name, handler] of handlers) process.on(name, handler);
  return {
    get isOurs() {
      return state.isOurs;
    },
    set isOurs(value) {
      state.isOurs = value;
    },
    enough: enough.signal,
    release: () => {
      for (const [name, handler] of handlers) process.off(name, handler);
    },
  };
}

/** Once the agent has stopped, the rest of its tree is stopped too, and then we: a shell waits for us. An agent that goes on keeps us going. */
async function stopWith(watched: Watched): Promise<void> {
  for (let waited = 0; !watched.isStopped(); waited += LOOK_MS) {
    if (waited >= MAX_STOP_MS) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  await watched.warden.suspend();
  process.kill(process.pid, 'SIGSTOP');
}
