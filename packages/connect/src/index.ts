export type { WitnessOptions } from './anchors/witness.ts';
export { witnessAnchor } from './anchors/witness.ts';
export type { AuthzenOptions } from './authzen/client.ts';
export { authzenPolicy } from './authzen/client.ts';
