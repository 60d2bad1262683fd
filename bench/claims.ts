/** All claims, in the order they are printed. */
import { durabilityClaims } from './durability.ts';
import type { Claim } from './figure.ts';
import { guardClaims } from './guard.ts';
import { ledgerClaims } from './ledger.ts';
import { policyClaims } from './policy.ts';
import { sudoagentClaims } from './sudoagent.ts';

export { removeFixtures } from './fixtures.ts';

export const allClaims: readonly Claim[] = [...ledgerClaims, ...guardClaims, ...durabilityClaims, ...policyClaims, ...sudoagentClaims];
