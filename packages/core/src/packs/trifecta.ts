/**
 * The lethal trifecta: private data, text of strangers, and a way out. Any two are work; all three in one session let a
 * stranger's text carry private data away. Labels say what a session has seen, and the way out asks.
 */

import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, listOf, optionText, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, GOES_TO, LEAVES, NAMES_CREDENTIALS } from './words.ts';

export interface TrifectaOptions extends CommonOptions {
  /** Tools that read private data, beside those that are recognised. */
  readonly private?: readonly string[] | undefined;
  /** Tools that bring text of strangers. */
  readonly untrusted?: readonly string[] | undefined;
  /** Tools that are a way out. */
  readonly out?: readonly string[] | undefined;
  /** Domains of one's own: what goes there does not leave. */
  readonly own?: string | readonly string[] | undefined;
}

export const trifecta: Pack<TrifectaOptions> = definePack<TrifectaOptions>(
  {
    name: 'trifecta',
    version: '1',
    summary: 'private data, text of strangers and a way out in one session',
    example: { own: ['ours.example'] },
    blind: [
      'What a session saw before it was guarded, and what the model remembers from another session.',
      'Tools of your own whose names say nothing: name them in private, untrusted and out.',
    ],
    rules: ({ private: secret = [], untrusted = [], out = [], own }) => {
      const ours = listOf(own);
      return [
        ...named('private', secret, 'private'),
        ...named('untrusted', untrusted, 'untrusted'),
        { id: 'trifecta.private-seen', tools: ANY_TOOL, when: PRIVATE, effect: 'label', label: ['private'] },
        { id: 'trifecta.untrusted-seen', tools: ANY_TOOL, when: untrustedWhen(ours), effect: 'label', label: ['untrusted'] },
        ...(out.length === 0 ? [] : [asks('trifecta.way-out-named', out, BOTH, ours)]),
        asks('trifecta.way-out', ANY_TOOL, `${BOTH} && sends(tool, args) && ${LEAVES}`, ours),
      ];
    },
  },
  {
    private: optionTexts.optional().describe('patterns of tools that read private data, beside those that are recognised'),
    untrusted: optionTexts.optional().describe('patterns of tools that bring text of strangers'),
    out: optionTexts.optional().describe('patterns of tools that are a way out'),
    own: z.union([optionText, optionTexts]).optional().describe('domains of your own: what goes there does not leave'),
  },
);

export function trifectaPack(options: TrifectaOptions = {}): Policy {
  return packPolicy(trifecta, options);
}

const PRIVATE_WORDS = celList(
  'crm customer customers contact contacts account accounts invoice invoices payroll hr employee employees patient patients medical private internal confidential memory vault secret secrets drive'.split(
    ' ',
  ),
);
const MAIL_WORDS = celList(['gmail', 'mail', 'email', 'inbox', 'outlook', 'imap']);
const PRIVATE = `${NAMES_CREDENTIALS} || queries(tool, args).size() > 0 || named(tool, ${PRIVATE_WORDS}) || named(server, ${PRIVATE_WORDS}) || (named(tool, ${MAIL_WORDS}) || named(server, ${MAIL_WORDS})) && named(tool, ["get", "list", "read", "search", "find"])`;

const STRANGE_WORDS = celList(
  'browse browser navigate goto scrape crawl search web issue issues ticket tickets comment comments review reviews feed rss tweet tweets pull'.split(
    ' ',
  ),
);

function untrustedWhen(own: readonly string[]): string {
  const outside = `${GOES_TO}.exists(h, !host.isPrivate(h)${own.length === 0 ? '' : ` && !(${ownHost(own)})`})`;
  return `${outside} || named(tool, ${STRANGE_WORDS}) || (named(tool, ${MAIL_WORDS}) || named(server, ${MAIL_WORDS})) && named(tool, ["get", "read"])`;
}

const BOTH = "'private' in session.labels && 'untrusted' in session.labels";

function named(name: string, tools: readonly string[], label: string): readonly Rule[] {
  return tools.length === 0 ? [] : [{ id: `trifecta.${name}-named`, tools, effect: 'label', label: [label] }];
}

function asks(id: string, tools: readonly string[], when: string, own: readonly string[]): Rule {
  return {
    id,
    tools,
    when,
    ...(own.length > 0 && { unless: goesToOwn(own) }),
    effect: 'require_approval',
    reason: "the session has read private data and strangers' text, and this call could carry the one away for the other",
    reason_code: 'TRIFECTA_WAY_OUT',
  };
}

/** Everything the call names as where it goes is one's own, and it names something. */
function goesToOwn(own: readonly string[]): string {
  const mail = own.flatMap((domain) => [
    `to.endsWith(${JSON.stringify(`@${domain.toLowerCase()}`)})`,
    `to.endsWith(${JSON.stringify(`.${domain.toLowerCase()}`)})`,
  ]);
  const recipients = `recipients(args).all(to, ${mail.join(' || ')})`;
  return `(recipients(args).size() > 0 || ${GOES_TO}.size() > 0) && ${recipients} && ${GOES_TO}.all(h, ${ownHost(own)})`;
}

function ownHost(own: readonly string[]): string {
  return own
    .map((domain) => domain.toLowerCase())
    .map((domain) => `h == ${JSON.stringify(domain)} || h.endsWith(${JSON.stringify(`.${domain}`)})`)
    .join(' || ');
}
