export { type InvalidCode, type InvalidMessage, MAX_TOOL_NAME_CHARS } from './client-message.ts';
export type { ProxyGuard } from './guard-source.ts';
export { MAX_IN_FLIGHT, MAX_IN_FLIGHT_BYTES, MAX_REQUESTS } from './in-flight.ts';
export { RPC_ERRORS } from './message.ts';
export { Interposer, type InterposerOptions, UNREADABLE_TOOL } from './proxy.ts';
export { runStdioProxy, type StdioProxyOptions } from './stdio.ts';
export { MAX_TOOLS } from './tool-directory.ts';
export { type Line, LineReader, MAX_MESSAGE_BYTES } from './wire.ts';
