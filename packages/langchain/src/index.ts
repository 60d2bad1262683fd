export { type HostApprover, type ResolveFromOptions, resolveFrom } from '@countersign/core';
export type { MiddlewareOptions } from './guarding.ts';
export { countersignMiddleware } from './middleware.ts';
export type { GuardedToolOptions, RunIdentity } from './options.ts';
export type { ApprovalInterrupt } from './suspend.ts';
export { guardTool } from './tool.ts';
export { guardTools } from './tools.ts';
