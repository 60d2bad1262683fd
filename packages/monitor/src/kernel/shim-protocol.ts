/** What the warden and the launch shim say to each other over descriptor 3. Length (4 bytes, little-endian), then JSON. */

import type { LandlockRules } from './landlock.ts';

/**
 * What the shim becomes, and what it puts on itself before. Made by us; the environment is the agent's. What is handed to the program
 * is bytes, which need not be UTF-8: a character of U+0000 to U+00FF for each (`textOf`, `bytesOf`).
 */
export interface ShimPlan {
  /** Absolute. */
  readonly program: string;
  /** Without the program's own name. */
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  /** A filter with a listener, base64. Absent: none. */
  readonly filter?: string;
  /** What of the file system is left to it. Absent: all. */
  readonly landlock?: LandlockRules;
}

/** Said once, when all is in place; then the shim waits for one byte, `GO`. */
export type ShimReply =
  /** Number of the listener's descriptor in the shim; absent without a filter. */
  | { readonly listener?: number; readonly landlock?: { readonly abi: number; readonly ungranted: readonly string[] } }
  | { readonly failed: string; readonly errno?: string };

export const GO = 'g';
export const LENGTH_BYTES = 4;
/** Arguments and environment may be large; the kernel takes no more of them. */
export const MAX_PLAN_BYTES: number = 64 * 1024 * 1024;

export function packed(message: ShimPlan | ShimReply): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(text.length, 0);
  return Buffer.concat([length, text]);
}

export function textOf(bytes: Buffer): string {
  return bytes.toString('latin1');
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
