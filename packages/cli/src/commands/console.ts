import { userInfo } from 'node:os';
import { configuredAnswers, ledgerSource, type PageEvent, type ServedPage, serveApprovalPage } from '@countersign/connect';
import { type Config, CountersignError } from '@countersign/core';
import { answeringGuard } from '../answering-guard.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { answerLine, timeOfDay } from '../console/answer-line.ts';
import { guardedPeer } from '../console/guarded-peer.ts';
import { type LinkPlace, linkPlace } from '../console/link-place.ts';
import { openBrowser } from '../console/open-browser.ts';
import { signedAnswers } from '../console/signed-answers.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { writersOf } from '../ledger-writers.ts';
import { openConfigured } from '../open-configured.ts';
import { type Output, safe } from '../output.ts';
import { type Stop, stopOf } from '../stop.ts';

const MAX_PORT = 65_535;
const NAME_SHAPE = /^[^\p{C}\s][^\p{C}]{0,126}$/u;

export const consoleCommand: Command = {
  name: 'console',
  summary: 'run the page on which people answer approvals, on this host',
  positionals: [],
  options: [
    { name: 'port', kind: 'text', value: 'N', about: 'where it listens, on 127.0.0.1; default `approvals.page.port`, 4680' },
    { name: 'as', kind: 'text', value: 'NAME', about: 'in whose name you answer; default page:<user of this system>' },
    { name: 'no-open', kind: 'switch', about: 'do not open a browser (it is shown the page, not the link)' },
    { name: 'link-file', kind: 'text', value: 'F', about: 'write login links to this new file, mode 600, not to the terminal' },
  ],
  notes: [
    'Prints a link that logs one browser in, once, within five minutes; Enter prints a new one, Ctrl-C ends it and every login. The link is shown on a terminal only, or written to --link-file. Refused from inside a guarded process tree, and so are, on Linux, logins and answers that come from there.',
    'Where the configuration names `senders` or Slack, it also takes their signed answers, at /webhooks/NAME and /slack/interactions.',
    'A process of your own user can read your terminal, your browser and the file of --link-file. To keep approvals from it, run this as another user, or give approvers keys with a passphrase.',
  ],
  example: 'countersign console --as ana',
  run,
};

async function run(invocation: Invocation): Promise<number> {
  const { io, flags } = invocation;
  const config = configOf(invocation);
  const port = portOf(flags.text('port'), config);
  const approver = approverOf(flags.text('as'), config);
  refuseInsideGuard(io.env, writersOf(config), consoleRefused);
  // From here on something has to be cleaned up.
  const stop = stopOf(invocation);
  try {
    const place = linkPlace(io, flags.text('link-file'));
    try {
      await serveLinks(config, { port, approver, stop, place }, invocation);
    } finally {
      place.close();
    }
    return EXIT.OK;
  } finally {
    stop.release();
  }
}

interface Serving {
  readonly port: number;
  readonly approver: string;
  readonly stop: Stop;
  readonly place: LinkPlace;
}

async function serveLinks(config: Config, { port, approver, stop, place }: Serving, invocation: Invocation): Promise<void> {
  const { io, output, flags } = invocation;
  const store = openConfigured(config, { signNow: true });
  try {
    const onError = (error: unknown): void => output.note(`countersign: ${errorText(error)}`);
    // It asks nobody: calls are asked about by the guards that make them.
    const guard = answeringGuard(config, store, { onError });
    const signed = signedAnswers(guard.approvals, output);
    const answers = configuredAnswers(config, { approvals: signed.approvals, env: io.env, onError });
    const page = await serveApprovalPage({
      port,
      source: ledgerSource(config.ledger.path),
      approvals: guard.approvals,
      approver,
      routes: answers.routes.map(signed.watched),
      objectionTo: (peer, ours) => guardedPeer(peer, ours, () => writersOf(config)),
      onError,
      onEvent: (event) => output.note(eventText(event, approver)),
    });
    try {
      greet(page, approver, config, output, flags.text('link-file'));
      for (const { path } of answers.routes) output.note(`signed answers are taken at ${page.url}${safe(path)}`);
      await giveLinks(page, place, stop, invocation);
    } finally {
      await page.close();
      signed.close();
      // What was acknowledged is recorded before the store goes.
      await answers.close();
    }
    // The guard is not closed: it opened no session that could end.
  } finally {
    await store.close();
  }
}

function portOf(given: string | undefined, config: Config): number {
  if (given === undefined) return config.approvals.page.port;
  const port = /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (port <= MAX_PORT) return port;
  throw new UsageError(`--port: ${JSON.stringify(given)} is no port`, `use a whole number from 0 (any free one) to ${MAX_PORT}`);
}

function approverOf(given: string | undefined, { approvers }: Config): string {
  const name = given ?? `page:${userName()}`;
  if (!NAME_SHAPE.test(name))
    throw new UsageError('--as: use a name of at most 127 characters, without control characters', 'for example: --as ana');
  if (approvers.has(name)) {
    throw new CountersignError(
      'APPROVER_REFUSED',
      `${name} has a key under \`approvers\` and answers with that key only: use \`countersign approvals approve ID --key FILE --as ${name}\`, or another name here`,
    );
  }
  return name;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the system's list.
    return typeof process.getuid === 'function' ? `uid-${process.getuid()}` : 'unknown';
  }
}

function consoleRefused(why: string): CountersignError {
  return new CountersignError('APPROVER_REFUSED', `${why}: the console is opened from outside; use a terminal the agent did not start`);
}

function greet({ url, port }: ServedPage, approver: string, config: Config, output: Output, linkFile: string | undefined): void {
  output.result({ url, port, approver, ledger: config.ledger.path });
  output.note(`approvals of ${safe(config.ledger.path)} are answered at ${url} by ${safe(approver)}`);
  const file = linkFile === undefined ? '' : `, in ${safe(linkFile)} (also: kill -HUP ${process.pid})`;
  output.note(`Enter: a new link${file}. Ctrl-C: end it, and every login.`);
}

/** Links as they are asked for. */
async function giveLinks(
  page: Pick<ServedPage, 'newLink' | 'url'>,
  place: LinkPlace,
  stop: Stop,
  { io, flags }: Invocation,
): Promise<void> {
  const { stdin, env } = io;
  const isFile = flags.on('link-file');
  place.put(page.newLink());
  if (!flags.on('no-open') && !isFile) openBrowser(`${page.url}/login`, env);
  const renew = (): void => place.put(page.newLink());
  const typed = (chunk: Buffer | string): void => {
    if (chunk.toString().includes('\n')) renew();
  };
  stdin.on('data', typed);
  // A service has nobody who could press Enter.
  if (isFile) process.on('SIGHUP', renew);
  await stop.asked;
  process.off('SIGHUP', renew);
  stdin.off('data', typed);
  stdin.pause();
}

function eventText(event: PageEvent, approver: string): string {
  const at = timeOfDay();
  switch (event.kind) {
    case 'login':
      return `${at} logged in with the link. If that was not you: Ctrl-C`;
    case 'refused':
      return `${at} REFUSED a login or an answer: ${safe(event.why)}`;
    case 'logout':
      return `${at} logged out`;
    case 'answer':
      return answerLine(event.decision, event.id, approver);
  }
}

function errorText(error: unknown): string {
  const code = CountersignError.is(error) ? ` [${error.code}]` : '';
  return `${safe(error instanceof Error ? error.message : 'unknown error')}${code}`;
}
