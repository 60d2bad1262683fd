/** All commands, in the order help shows them. A new one is a file beside this and a line here. */
import type { Command } from '../command.ts';
import { anchor } from './anchor.ts';
import { approvalsAnswer } from './approvals-answer.ts';
import { approvalsList } from './approvals-list.ts';
import { approvalsRevoke } from './approvals-revoke.ts';
import { approvalsShow } from './approvals-show.ts';
import { approvalsWatch } from './approvals-watch.ts';
import { attach } from './attach.ts';
import { budgetsCommand } from './budgets.ts';
import { consistencyCheck } from './consistency-check.ts';
import { consistencyMake } from './consistency-make.ts';
import { consoleCommand } from './console.ts';
import { disclose } from './disclose.ts';
import { doctor } from './doctor.ts';
import { exportLedger } from './export.ts';
import { filter } from './filter.ts';
import { forget } from './forget.ts';
import { head } from './head.ts';
import { hook } from './hook.ts';
import { incidentsList } from './incidents-list.ts';
import { incidentsRestore } from './incidents-restore.ts';
import { incidentsShow } from './incidents-show.ts';
import { init } from './init.ts';
import { keygen } from './keygen.ts';
import { pinsAnswer } from './pins-answer.ts';
import { pinsList } from './pins-list.ts';
import { pinsShow } from './pins-show.ts';
import { policyCheck } from './policy-check.ts';
import { policyExplain } from './policy-explain.ts';
import { policyPacks } from './policy-packs.ts';
import { policyReplay } from './policy-replay.ts';
import { policySign } from './policy-sign.ts';
import { policySuggest } from './policy-suggest.ts';
import { policyTest } from './policy-test.ts';
import { proxy } from './proxy.ts';
import { receiptCheck } from './receipt-check.ts';
import { receiptMake } from './receipt-make.ts';
import { replay } from './replay.ts';
import { report } from './report.ts';
import { resume } from './resume.ts';
import { rotateKeyCommand } from './rotate-key.ts';
import { runCommand } from './run.ts';
import { search } from './search.ts';
import { serveCommand } from './serve.ts';
import { show } from './show.ts';
import { unwrapCommand } from './unwrap.ts';
import { verify } from './verify.ts';
import { wrapCommand } from './wrap.ts';

export const COMMANDS: readonly Command[] = [
  init,
  doctor,
  proxy,
  wrapCommand,
  unwrapCommand,
  hook,
  serveCommand,
  approvalsList,
  approvalsShow,
  approvalsWatch,
  approvalsAnswer('approve'),
  approvalsAnswer('deny'),
  approvalsRevoke,
  pinsList,
  pinsShow,
  pinsAnswer('accept'),
  pinsAnswer('revoke'),
  consoleCommand,
  budgetsCommand,
  runCommand,
  attach,
  resume,
  incidentsList,
  incidentsShow,
  incidentsRestore,
  report,
  replay,
  policyCheck,
  policyTest,
  policyPacks,
  policyExplain,
  policyReplay,
  policySuggest,
  policySign,
  verify,
  head,
  consistencyMake,
  consistencyCheck,
  receiptMake,
  receiptCheck,
  disclose,
  forget,
  exportLedger,
  filter,
  search,
  show,
  anchor,
  keygen,
  rotateKeyCommand,
];
