/** Mail and invitations: who gets them, how many, and rules that forward by themselves. */
import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, listOf, optionText, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList } from './words.ts';

export interface EmailOptions extends CommonOptions {
  /** Domains of one's own, whose people may be written to. */
  readonly own: string | readonly string[];
  /** More recipients than this ask; 20 when absent. */
  readonly bulk?: number | undefined;
}

const DEFAULT_BULK = 20;

export const email: Pack<EmailOptions> = definePack<EmailOptions>(
  {
    name: 'email',
    version: '1',
    summary: 'mail to outsiders, to many, and rules that forward by themselves',
    example: { own: 'ours.example' },
    blind: [
      'Who reads a shared mailbox or a list behind an address.',
      'Recipients that a template or a thread adds: a reply names nobody.',
    ],
    rules: ({ own, bulk = DEFAULT_BULK }) => {
      const ours = listOf(own)
        .map((domain) => domain.toLowerCase().replace(/^@/, ''))
        .flatMap((domain) => [`to.endsWith(${JSON.stringify(`@${domain}`)})`, `to.endsWith(${JSON.stringify(`.${domain}`)})`])
        .join(' || ');
      // Two @ are two readings of who gets it.
      const isOurs = `(${ours}) && to.split("@").size() == 2`;
      return [
        asks('outsider', 'somebody outside gets this', `${SENDS} && recipients(args).exists(to, !(${isOurs}))`),
        asks(
          'nobody-named',
          'the call sends mail, and no recipient is to be seen',
          `${SENDS} && named(tool, ["send", "forward"]) && recipients(args).size() == 0`,
        ),
        asks('bulk', 'many people get this', `${SENDS} && recipients(args).size() > ${bulk}`),
        asks('forwarding', 'mail would be forwarded or hidden by a rule from now on', FORWARDS),
        asks('secret', 'a credential stands in this mail', `${SENDS} && findings.exists(f, f.kind != "key-name")`),
      ];
    },
  },
  {
    own: z.union([optionText, optionTexts]).describe('domains of your own, such as ours.example'),
    bulk: z.int().min(1).max(10_000).optional().describe('more recipients than this ask; 20 when absent'),
  },
);

export function emailPack(options: EmailOptions): Policy {
  return packPolicy(email, options);
}

const MAIL = celList(['mail', 'email', 'gmail', 'outlook', 'smtp', 'imap', 'calendar', 'invite', 'event', 'message', 'draft']);
const SENDS = `(named(tool, ${MAIL}) || named(server, ${MAIL})) && named(tool, ${celList(['send', 'reply', 'forward', 'invite', 'create', 'schedule', 'share', 'post', 'update'])}) && !named(tool, ["draft"])`;
const FORWARDS = `named(tool, ["filter", "forwarding", "rule", "delegate", "autoforward", "vacation"]) && named(tool, ${celList(['create', 'add', 'set', 'update', 'enable'])})`;

function asks(id: string, reason: string, when: string): Rule {
  const code = `EMAIL_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `email.${id}`, tools: ANY_TOOL, when, effect: 'require_approval', reason, reason_code: code };
}
