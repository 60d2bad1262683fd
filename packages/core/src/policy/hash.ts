/** Content addresses of policies: the document is canonical JSON, the hash is what every decision entry carries. */
import { createHash } from 'node:crypto';

/** Domain prefix: no other thing we hash can collide with a policy document. */
const DOMAIN = 'countersign/policy/v1\n';

/** SHA-256 of `"countersign/policy/v1\n" + document`, 64 lower-case hex digits. */
export function policyHash(document: string): string {
  return createHash('sha256').update(DOMAIN).update(document, 'utf8').digest('hex');
}
