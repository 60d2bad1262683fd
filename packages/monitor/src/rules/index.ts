/** Every family of rules. A new rule is one file and one line here. */
import { CHAIN } from './families/chain.ts';
import { CONTAINER_SOCKET, EGRESS, METADATA } from './families/egress.ts';
import { FOREIGN_CODE } from './families/foreign-code.ts';
import { OWN_FILES } from './families/own-files.ts';
import { PERSISTENCE, PRIVILEGE } from './families/persistence.ts';
import { PROCESSES } from './families/processes.ts';
import { RATE } from './families/rate.ts';
import { DELETIONS, REMOVAL } from './families/removal.ts';
import { RESOURCES } from './families/resources.ts';
import { SCOPE_COMMANDS } from './families/scope-commands.ts';
import { SCOPE_NETWORK } from './families/scope-network.ts';
import { SCOPE_PATHS } from './families/scope-paths.ts';
import { SECRETS } from './families/secrets.ts';
import { SHELL_NETWORK } from './families/shell-network.ts';
import { UNREADABLE_CALL } from './families/unreadable-call.ts';
import { FLAG_RULE } from './flags.ts';
import type { RuleFamily, RuleInfo } from './rule.ts';

/** In the order in which equal levels win: what is sure and grave first. */
export const FAMILIES: readonly RuleFamily[] = [
  OWN_FILES,
  SECRETS,
  PERSISTENCE,
  CONTAINER_SOCKET,
  SCOPE_PATHS,
  REMOVAL,
  SHELL_NETWORK,
  FOREIGN_CODE,
  PROCESSES,
  SCOPE_COMMANDS,
  SCOPE_NETWORK,
  METADATA,
  CHAIN,
  PRIVILEGE,
  EGRESS,
  DELETIONS,
  RESOURCES,
  RATE,
  UNREADABLE_CALL,
];

/** What the engine itself says when a rule cannot judge. */
export const FAILED_RULE: RuleInfo = {
  id: 'rule-failed',
  title: 'A rule could not judge',
  explanation: 'A rule threw on what a process did: nothing is taken for safe that was not looked at.',
  levels: ['HALT'],
};

export const ODD_RULE: RuleInfo = {
  id: 'odd-name',
  title: 'A name longer than any there is',
  explanation: 'A path of more than 8192 characters: no file can be opened by it in one piece, and only its beginning was judged.',
  levels: ['FLAG'],
};

/** All rules: id, title, what it is about, and what it may come to. */
export const RULES: readonly RuleInfo[] = [...FAMILIES.flatMap(({ rules }) => rules), FLAG_RULE, ODD_RULE, FAILED_RULE];
