export type { AuthzenOptions } from './authzen/client.ts';
export { authzenPolicy } from './authzen/client.ts';
