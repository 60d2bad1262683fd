import type { PolicyName } from '@countersign/core';
import { safe } from './output.ts';

/** A policy in a message to the operator: its id, version, and the beginning of its hash. */
export function policyText({ id, version, hash }: PolicyName): string {
  return `${safe(id)}${version === undefined ? '' : ` version ${safe(version)}`} (${hash.slice(0, 8)})`;
}
