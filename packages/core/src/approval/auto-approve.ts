/**
 * Approving without anybody, for demonstrations and tests of the whole: `COUNTERSIGN_AUTO_APPROVE=1` in the environment, and
 * only together with `approvals: { allowAutoApprove: true }` in code. No configuration file can say so, hence neither the
 * proxy nor any other command. It is an answer like others: recorded, under a name nobody else can have.
 */
import type { ApprovalTerms, Assurance } from '../call.ts';
import type { Approver, Channel } from '../interfaces.ts';
import { foldApprover } from './approver-name.ts';

/** A reserved name: low assurance, whatever the method says. */
export const AUTO_APPROVER = 'auto-approve';

const VARIABLE = 'COUNTERSIGN_AUTO_APPROVE';
const WARNING = `countersign: ${VARIABLE}=1: calls that need a person's approval are approved by nobody; each is recorded as "${AUTO_APPROVER}"`;

export interface AutoApproveOptions {
  readonly allowAutoApprove?: boolean;
  readonly onAutoApprove?: (warning: string) => void;
}

export function isAutoApprover(id: string): boolean {
  return foldApprover(id) === AUTO_APPROVER;
}

/** Undefined unless code and environment both ask for it. Says so at once: on standard error once per process, or to the callback. */
export function autoApprover(options: AutoApproveOptions, env: NodeJS.ProcessEnv): Channel | undefined {
  if (options.allowAutoApprove !== true || env[VARIABLE] !== '1') return undefined;
  warn(options.onAutoApprove);
  const approver: Approver = { id: AUTO_APPROVER, method: 'host' };
  return { name: AUTO_APPROVER, ask: (_request, answer) => answer({ decision: 'approve' }, approver) };
}

type Asked = Pick<ApprovalTerms, 'quorum' | 'approvers'> & { readonly assurance: Assurance | undefined };

/** A rule that says who must answer, how many, or how surely, means people. */
export function isForAnybody({ quorum, approvers, assurance }: Asked): boolean {
  return quorum === 1 && approvers === undefined && (assurance === undefined || assurance === 'low');
}

let hasWarned = false;

function warn(tell: AutoApproveOptions['onAutoApprove']): void {
  if (tell !== undefined) return tell(WARNING);
  if (hasWarned) return;
  hasWarned = true;
  process.stderr.write(`${WARNING}\n`);
}
