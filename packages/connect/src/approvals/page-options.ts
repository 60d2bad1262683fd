import type { ApprovalAnswer, Guard } from '@countersign/core';
import type { Peer } from '../http/serve.ts';
import type { InstantSource } from './logins.ts';
import type { ApprovalsSource } from './source.ts';

export interface ApprovalPageOptions {
  /** Where browsers find it, `http://127.0.0.1:4680`: requests for any other host are refused. A function when it is known only later. */
  readonly origin: string | (() => string);
  readonly source: ApprovalsSource;
  readonly approvals: Pick<Guard['approvals'], 'resolve' | 'revoke' | 'grants'>;
  /** In whose name is answered, by method `page`. */
  readonly approver: string;
  /**
   * Why this peer may neither log in nor answer, whatever it knows: for who can tell a process of the agent. Asked when
   * everything else is in order, so it may take its time.
   */
  readonly objectionTo?: (peer: Peer, port: number) => string | undefined;
  /** Told of every login and answer, so that somebody at the terminal can see what he did not do. Must not throw. */
  readonly onEvent?: (event: PageEvent) => void;
  /** Told of what could not be answered for a reason of our own. Must not throw. */
  readonly onError?: (error: unknown) => void;
  readonly instant?: InstantSource;
  /** Which user a peer belongs to; default: what the kernel says. */
  readonly userOf?: (peer: Peer, port: number) => string | undefined;
}

export type PageEvent =
  | { readonly kind: 'login' | 'logout' }
  | { readonly kind: 'refused'; readonly why: string }
  /** `id` of an approval, or of the grant that is revoked. */
  | { readonly kind: 'answer'; readonly id: string; readonly decision: ApprovalAnswer['decision'] | 'grant' | 'revoke' };
