/** For tests and benches: a store that keeps nothing, a clock that stands still, an approver who answers at once. */
export { type FixedClock, fixedClock } from './clock.ts';
export { type ImmediateAnswer, immediateApprover } from './immediate-approver.ts';
export { type MemoryStore, memoryStore } from './memory-store.ts';
export { type CaseReport, type PolicyTestReport, runPolicyTests } from './policy-test/run.ts';
export type { Got, StepReport } from './policy-test/run-case.ts';
export { policyTestJsonSchema } from './policy-test/schema.ts';
