/** Browsers that an agent drives: where they go, what they run, and what they type. */
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, optionTexts, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, celPattern, GOES_TO, IS_LOOPBACK } from './words.ts';

export interface BrowserOptions extends CommonOptions {
  /** Only these hosts are visited without asking; any outside when absent. */
  readonly hosts?: readonly string[] | undefined;
  /** Hosts of the inner network that may be visited. */
  readonly inside?: readonly string[] | undefined;
}

export const browser: Pack<BrowserOptions> = definePack<BrowserOptions>(
  {
    name: 'browser',
    version: '1',
    summary: 'where a browser goes, scripts it runs, credentials it types, files it uploads',
    example: {},
    blind: ['Where a page leads by itself: redirects, forms, scripts.', 'What a click does.'],
    rules: ({ hosts = [], inside = [] }) => [
      labels('untrusted', `${IS_BROWSER} && ${GOES_TO}.exists(h, !host.isPrivate(h))`),
      asks(
        'scheme',
        'the address is no page of the web',
        `${IS_BROWSER} && (targets(tool, args) + texts(args)).exists(u, u.matches(${celPattern(String.raw`(?i)^\s*(?:file|javascript|data|chrome|about|view-source|chrome-extension|ftp|blob):`)}) && !u.matches(${celPattern('(?i)^\\s*about:blank\\s*$')}))`,
      ),
      {
        id: 'browser.metadata-address',
        tools: ANY_TOOL,
        when: `${IS_BROWSER} && ${GOES_TO}.exists(h, host.isMetadata(h))`,
        effect: 'deny',
        reason: 'this address hands out the credentials of the machine',
        reason_code: 'BROWSER_METADATA_ADDRESS',
      },
      asks(
        'inner-address',
        'the page lies in the inner network',
        `${IS_BROWSER} && ${GOES_TO}.exists(h, host.isPrivate(h) && !${IS_LOOPBACK}${except(inside)})`,
      ),
      ...(hosts.length === 0
        ? []
        : [
            asks(
              'other-host',
              'the host is not on the list',
              `${IS_BROWSER} && ${GOES_TO}.exists(h, !${IS_LOOPBACK}${except([...hosts, ...inside])})`,
            ),
          ]),
      asks(
        'script',
        'a script in the page sends or reads what the page keeps',
        `${IS_BROWSER} && texts(args).exists(s, s.matches(${celPattern(String.raw`(?i)document\.cookie|localStorage|sessionStorage|indexedDB|\bfetch\s*\(|XMLHttpRequest|sendBeacon|WebSocket|\bimport\s*\(|navigator\.credentials`)}))`,
      ),
      asks(
        'upload',
        'the page gets a file of this machine',
        `${IS_BROWSER} && named(tool, ["upload", "file", "attach"]) && paths(tool, args).size() > 0 && !named(tool, ["download", "save", "screenshot", "pdf"])`,
      ),
      asks('secret', 'a credential is typed into the page', `${IS_BROWSER} && findings.size() > 0`),
      asks(
        'stored',
        'the call reads or changes cookies or passwords',
        `${IS_BROWSER} && named(tool, ${celList(['cookie', 'cookies', 'storage', 'password', 'passwords', 'credential', 'credentials', 'permission', 'permissions', 'extension'])})`,
      ),
    ],
  },
  {
    hosts: optionTexts.optional().describe('hosts that are visited without asking, such as *.ours.example; any outside when absent'),
    inside: optionTexts.optional().describe('hosts of the inner network that may be visited'),
  },
);

export function browserPack(options: BrowserOptions = {}): Policy {
  return packPolicy(browser, options);
}

const BROWSER = celList([
  'browser',
  'browse',
  'page',
  'playwright',
  'puppeteer',
  'selenium',
  'chrome',
  'chromium',
  'firefox',
  'navigate',
  'goto',
  'webdriver',
]);
const IS_BROWSER = `(named(tool, ${BROWSER}) || named(server, ${BROWSER}))`;

function except(hosts: readonly string[]): string {
  return hosts.length === 0 ? '' : ` && !host.matches(h, ${celList(hosts)})`;
}

function labels(label: string, when: string): Rule {
  return { id: `browser.${label}`, tools: ANY_TOOL, when, effect: 'label', label: [label] };
}

function asks(id: string, reason: string, when: string): Rule {
  const code = `BROWSER_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `browser.${id}`, tools: ANY_TOOL, when, effect: 'require_approval', reason, reason_code: code };
}
