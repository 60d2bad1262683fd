import { Interposer, type InterposerOptions } from '../src/interposer.ts';
import { Target, type TargetOptions } from '../src/target.ts';

export interface OneLaneOptions extends Omit<InterposerOptions, 'target' | 'lane'>, TargetOptions {
  readonly toClient: (bytes: Buffer) => void;
  readonly toServer: (bytes: Buffer) => void;
}

/** An interposer with one lane, as on stdio; calls that wait for a person are not held. */
export function oneLane({ guard, server, log, mcp, approvals, toClient, toServer, ...options }: OneLaneOptions): Interposer {
  const lane = { toClient, toServer, dropped: (): void => {} };
  return new Interposer({
    target: new Target({ guard, server, log, mcp: { holdMs: 0, ...mcp }, ...(approvals && { approvals }) }),
    lane,
    ...options,
  });
}
