/** What the connector's thread and the sensor say to each other. Plain data: it is cloned. */
import type { Markers } from '../tree/markers.ts';

export type ConnectorEvent =
  | { readonly kind: 'fork'; readonly parent: number; readonly pid: number; readonly start: number }
  /** What could not be read any more is absent. */
  | {
      readonly kind: 'exec';
      readonly pid: number;
      readonly start: number;
      readonly parent?: number;
      readonly argv?: readonly string[];
      readonly exe?: string;
      readonly cwd?: string;
      readonly markers?: Markers;
    }
  /** `status` is the raw one of wait(2). */
  | { readonly kind: 'exit'; readonly pid: number; readonly status: number };

export type FromThread =
  | { readonly kind: 'listening' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** In order. `lost`: times the kernel dropped events since the last message. */
  | { readonly kind: 'events'; readonly events: readonly ConnectorEvent[]; readonly lost: number };

export type ToThread =
  | { readonly kind: 'watch'; readonly pid: number; readonly start: number }
  | { readonly kind: 'forget'; readonly pid: number }
  | { readonly kind: 'stop' };

/** Given to the thread when it starts. */
export interface ConnectorStart {
  readonly members: readonly { readonly pid: number; readonly start: number }[];
}
