/** All claims, in the order they are printed. */
import { agentClaims } from './agents.ts';
import { approvalClaims } from './approvals.ts';
import { budgetClaims } from './budgets.ts';
import { contentionClaims } from './contention.ts';
import { crashClaims } from './crash.ts';
import { durabilityClaims } from './durability.ts';
import { type Claim, grouped } from './figure.ts';
import { grantClaims } from './grants.ts';
import { guardClaims } from './guard.ts';
import { kernelBrokerClaims } from './kernel-broker.ts';
import { kernelContainClaims } from './kernel-contain.ts';
import { kernelGateClaims } from './kernel-gate.ts';
import { kernelHoldClaims } from './kernel-hold.ts';
import { kernelSupervisorClaims } from './kernel-supervisor.ts';
import { ledgerClaims } from './ledger.ts';
import { mcpClaims } from './mcp.ts';
import { mcpHttpClaims } from './mcp-http.ts';
import { monitorFreezeClaims } from './monitor-freeze.ts';
import { monitorKernelClaims } from './monitor-kernel.ts';
import { monitorPollClaims } from './monitor-poll.ts';
import { monitorProbeClaims } from './monitor-probe.ts';
import { monitorRulesClaims } from './monitor-rules.ts';
import { openingClaims } from './opening.ts';
import { policyClaims } from './policy.ts';
import { receiptClaims } from './receipt.ts';
import { redactClaims } from './redact.ts';
import { replayClaims } from './replay.ts';
import { shellClaims } from './shell.ts';
import { slowDiskClaims } from './slow-disk.ts';
import { sudoagentClaims } from './sudoagent.ts';
import { verifyClaims } from './verify.ts';
import { workerClaims } from './worker.ts';

export { removeFixtures } from './fixtures.ts';

export const allClaims: readonly Claim[] = [
  ...ledgerClaims,
  ...openingClaims,
  ...guardClaims,
  ...budgetClaims,
  ...durabilityClaims,
  ...crashClaims,
  ...contentionClaims,
  ...workerClaims,
  ...slowDiskClaims,
  ...policyClaims,
  ...replayClaims,
  ...shellClaims,
  ...redactClaims,
  ...sudoagentClaims,
  ...verifyClaims,
  ...receiptClaims,
  ...approvalClaims,
  ...grantClaims,
  ...agentClaims,
  ...mcpClaims,
  ...mcpHttpClaims,
  ...grouped(
    ['monitor'],
    [...monitorPollClaims, ...monitorRulesClaims, ...monitorProbeClaims, ...monitorKernelClaims, ...monitorFreezeClaims],
  ),
  ...grouped(
    ['monitor', 'kernel'],
    [...kernelGateClaims, ...kernelHoldClaims, ...kernelContainClaims, ...kernelBrokerClaims, ...kernelSupervisorClaims],
  ),
];
