export { type HostApprover, type ResolveFromOptions, resolveFrom } from '@countersign/core';
export { approvalFor, approvalOf, type ToolApprovalRequestOptions } from './approval.ts';
export type { FrameworkCall } from './call.ts';
export { type ApprovalDescriptor, describeApprovals } from './describe.ts';
export { countersignMiddleware } from './middleware.ts';
export type { ModelMiddlewareOptions } from './model-options.ts';
export type { GuardToolsOptions } from './options.ts';
export { guardTools } from './tools.ts';
