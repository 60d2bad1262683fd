/**
 * All commands, in the order help shows them. A new one is a file beside this and a line here.
 *
 * Each is loaded when it is asked for: with all of them come the monitor, the proxy and what they need, a thousand files.
 */
import type { Command } from '../command.ts';

export interface ListedCommand {
  readonly name: string;
  readonly load: () => Promise<Command>;
}

export const COMMANDS: readonly ListedCommand[] = [
  { name: 'init', load: async () => (await import('./init.ts')).init },
  { name: 'doctor', load: async () => (await import('./doctor.ts')).doctor },
  { name: 'proxy', load: async () => (await import('./proxy.ts')).proxy },
  { name: 'wrap', load: async () => (await import('./wrap.ts')).wrapCommand },
  { name: 'unwrap', load: async () => (await import('./unwrap.ts')).unwrapCommand },
  { name: 'hook claude-code', load: async () => (await import('./hook.ts')).hook },
  { name: 'serve', load: async () => (await import('./serve.ts')).serveCommand },
  { name: 'approvals list', load: async () => (await import('./approvals-list.ts')).approvalsList },
  { name: 'approvals show', load: async () => (await import('./approvals-show.ts')).approvalsShow },
  { name: 'approvals watch', load: async () => (await import('./approvals-watch.ts')).approvalsWatch },
  { name: 'approvals approve', load: async () => (await import('./approvals-answer.ts')).approvalsAnswer('approve') },
  { name: 'approvals deny', load: async () => (await import('./approvals-answer.ts')).approvalsAnswer('deny') },
  { name: 'approvals revoke', load: async () => (await import('./approvals-revoke.ts')).approvalsRevoke },
  { name: 'pins list', load: async () => (await import('./pins-list.ts')).pinsList },
  { name: 'pins show', load: async () => (await import('./pins-show.ts')).pinsShow },
  { name: 'pins accept', load: async () => (await import('./pins-answer.ts')).pinsAnswer('accept') },
  { name: 'pins revoke', load: async () => (await import('./pins-answer.ts')).pinsAnswer('revoke') },
  { name: 'console', load: async () => (await import('./console.ts')).consoleCommand },
  { name: 'budgets', load: async () => (await import('./budgets.ts')).budgetsCommand },
  { name: 'run', load: async () => (await import('./run.ts')).runCommand },
  { name: 'attach', load: async () => (await import('./attach.ts')).attach },
  { name: 'halt', load: async () => (await import('./halt.ts')).halt },
  { name: 'resume', load: async () => (await import('./resume.ts')).resume },
  { name: 'incidents list', load: async () => (await import('./incidents-list.ts')).incidentsList },
  { name: 'incidents show', load: async () => (await import('./incidents-show.ts')).incidentsShow },
  { name: 'incidents restore', load: async () => (await import('./incidents-restore.ts')).incidentsRestore },
  { name: 'report', load: async () => (await import('./report.ts')).report },
  { name: 'replay', load: async () => (await import('./replay.ts')).replay },
  { name: 'policy check', load: async () => (await import('./policy-check.ts')).policyCheck },
  { name: 'policy test', load: async () => (await import('./policy-test.ts')).policyTest },
  { name: 'policy packs', load: async () => (await import('./policy-packs.ts')).policyPacks },
  { name: 'policy explain', load: async () => (await import('./policy-explain.ts')).policyExplain },
  { name: 'policy replay', load: async () => (await import('./policy-replay.ts')).policyReplay },
  { name: 'policy suggest', load: async () => (await import('./policy-suggest.ts')).policySuggest },
  { name: 'policy sign', load: async () => (await import('./policy-sign.ts')).policySign },
  { name: 'verify', load: async () => (await import('./verify.ts')).verify },
  { name: 'head', load: async () => (await import('./head.ts')).head },
  { name: 'consistency make', load: async () => (await import('./consistency-make.ts')).consistencyMake },
  { name: 'consistency check', load: async () => (await import('./consistency-check.ts')).consistencyCheck },
  { name: 'receipt make', load: async () => (await import('./receipt-make.ts')).receiptMake },
  { name: 'receipt check', load: async () => (await import('./receipt-check.ts')).receiptCheck },
  { name: 'disclose', load: async () => (await import('./disclose.ts')).disclose },
  { name: 'forget', load: async () => (await import('./forget.ts')).forget },
  { name: 'export', load: async () => (await import('./export.ts')).exportLedger },
  { name: 'filter', load: async () => (await import('./filter.ts')).filter },
  { name: 'search', load: async () => (await import('./search.ts')).search },
  { name: 'show', load: async () => (await import('./show.ts')).show },
  { name: 'anchor', load: async () => (await import('./anchor.ts')).anchor },
  { name: 'keygen', load: async () => (await import('./keygen.ts')).keygen },
  { name: 'rotate-key', load: async () => (await import('./rotate-key.ts')).rotateKeyCommand },
];

/** For help, and whoever else needs them all. */
export function allCommands(): Promise<readonly Command[]> {
  return Promise.all(COMMANDS.map(({ load }) => load()));
}
