export type { WitnessOptions } from './anchors/witness.ts';
export { witnessAnchor } from './anchors/witness.ts';
export type { AuthzenOptions } from './authzen/client.ts';
export { authzenPolicy } from './authzen/client.ts';
export { type Route, routed } from './http/routes.ts';
export { type Handler, LOOPBACK, type Peer, type Served, type ServeOptions, serve } from './http/serve.ts';
