/** When a command that serves ends. */
import type { Invocation } from './command.ts';

export interface Stop {
  readonly asked: Promise<void>;
  release(): void;
}

const STOPS = ['SIGINT', 'SIGTERM'] as const;

/** Ctrl-C, a signal, or the end of what is typed. Without a terminal an input that ends says nothing: services have none. */
export function stopOf({ io: { stdin, isTTY } }: Pick<Invocation, 'io'>): Stop {
  let stop = (): void => {};
  const asked = new Promise<void>((resolve) => {
    stop = resolve;
  });
  // Its end is only told to somebody who reads it.
  if (isTTY.stdin) stdin.once('end', stop).resume();
  for (const signal of STOPS) process.on(signal, stop);
  const release = (): void => {
    for (const signal of STOPS) process.off(signal, stop);
    stdin.off('end', stop);
    if (isTTY.stdin) stdin.pause();
  };
  return { asked, release };
}
