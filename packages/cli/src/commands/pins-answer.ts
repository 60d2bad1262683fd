import { userInfo } from 'node:os';
import { type Config, CountersignError, type Guard, type PinChoice, type PinState, type Signer } from '@countersign/core';
import { type LedgerReader, readLedger } from '@countersign/core/sqlite';
import { answeringGuard } from '../answering-guard.ts';
import type { Command, Invocation } from '../command.ts';
import { configOf } from '../configuration.ts';
import { EXIT } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { refuseInsideGuard } from '../guarded-tree.ts';
import { openConfigured } from '../open-configured.ts';
import { type Output, safe } from '../output.ts';
import { acceptable, findPin, pinJson, pinName } from '../pin-lookup.ts';
import { approverKey, required } from './approvals-answer.ts';
import { changeLines } from './pins-show.ts';

/** Tools that one answer is about. */
const MAX_AT_ONCE = 1000;
/** How often an answer is signed again because another tool was pinned meanwhile. */
const MAX_ROUNDS = 3;
const DIGEST_SHAPE = /^[0-9a-f]{8,64}$/;

type Verb = 'accept' | 'revoke';

interface Chosen {
  readonly state: PinState;
  readonly digest: string;
}

export function pinsAnswer(verb: Verb): Command {
  const isAccept = verb === 'accept';
  return {
    name: `pins ${verb}`,
    summary: isAccept ? 'trust tools as their servers declare them now' : 'trust tools no more, until they are accepted again',
    positionals: [{ name: 'tools', required: false, isList: true }],
    options: [
      { name: 'server', kind: 'text', value: 'S', about: 'with --all: the server whose tools are meant' },
      { name: 'all', kind: 'switch', about: isAccept ? 'every tool of the server that changed' : 'every tool of the server' },
      ...(isAccept
        ? ([{ name: 'digest', kind: 'text', value: 'D', about: 'only if the tool is declared so now; the first 8 digits do' }] as const)
        : []),
      { name: 'key', kind: 'text', value: 'FILE', about: 'your private key; needed where `approvers` are configured' },
      { name: 'as', kind: 'text', value: 'NAME', about: 'your name under `approvers` in the configuration' },
      { name: 'passphrase-file', kind: 'text', value: 'F', about: 'passphrase of the key; asked for on a terminal' },
    ],
    notes: [
      isAccept
        ? 'Shows what changed, and puts on record who accepted it. To accept what you looked at and nothing else, give the --digest that `pins show` told you. Tools of one server are accepted together, up to 1,000 of them, or not at all.'
        : 'Their calls are refused from then on, whatever they are declared as.',
      'Not from inside an agent: what an agent starts cannot answer. Without `approvers` in the configuration whoever sits at the terminal may, and is recorded under the name of the user.',
    ],
    example: `countersign pins ${verb} files/read_file --key ~/keys/finance.key --as finance`,
    async run(invocation) {
      const { io, output, flags } = invocation;
      const config = configOf({ io, flags });
      const chosen = choose(config, verb, invocation);
      if (chosen.length === 0) {
        output.result({ pins: [] });
        output.line(isAccept ? 'no tool of this server changed: there is nothing to accept' : 'no tool of this server is trusted');
        return EXIT.OK;
      }
      const who = await answererOf(config, invocation);
      const pins = await commitAnswers(config, verb, chosen, who);
      output.result({ pins: pins.map(pinJson), approver: who.name });
      for (const { state } of chosen) output.line(`${isAccept ? 'trusted' : 'no longer trusted'}: ${safe(pinName(state))}`);
      return EXIT.OK;
    },
  };
}

function choose(config: Config, verb: Verb, { io, output, flags, positionals }: Invocation): readonly Chosen[] {
  const reader = readLedger(config.ledger.path);
  try {
    refuseInsideGuard(io.env, reader.liveWriterPids());
    const states = named(reader, verb, flags.text('server'), flags.on('all'), positionals);
    const chosen = states.map((state) => chosenOf(state, verb));
    checkDigest(flags.text('digest'), chosen);
    if (verb === 'accept') show(chosen, reader, output);
    return chosen;
  } finally {
    reader.close();
  }
}

function named(
  reader: LedgerReader,
  verb: Verb,
  server: string | undefined,
  isAll: boolean,
  tools: readonly string[],
): readonly PinState[] {
  const see = `countersign pins ${verb} SERVER/TOOL, or --server S --all`;
  const pins = reader.pins();
  if (isAll !== (server !== undefined)) throw new UsageError('--server and --all go together', see);
  if (isAll === tools.length > 0) throw new UsageError(isAll ? 'name tools, or --all of a server' : 'no tool was named', see);
  if (!isAll) return [...new Set(tools)].map((tool) => findPin(pins, tool));
  const ofServer = pins.filter((state) => state.server === server);
  if (ofServer.length === 0)
    throw new CountersignError('PIN_NOT_FOUND', `no tool of a server named ${JSON.stringify(server)} is pinned in this ledger`);
  return ofServer.filter(({ offered, pinned }) => (verb === 'accept' ? offered.length > 0 : pinned !== undefined));
}

function chosenOf(state: PinState, verb: Verb): Chosen {
  const offer = verb === 'accept' ? acceptable(state) : state.pinned;
  if (offer === undefined) throw new CountersignError('PIN_NOT_FOUND', `${pinName(state)} is not trusted: there is nothing to take back`);
  return { state, digest: offer.digest };
}

/** @throws {CountersignError} `PIN_MOVED` */
function checkDigest(given: string | undefined, chosen: readonly Chosen[]): void {
  if (given === undefined) return;
  const [one, another] = chosen;
  if (!DIGEST_SHAPE.test(given)) throw new UsageError('--digest takes 8 to 64 hex digits', 'as `countersign pins show` tells them');
  if (one === undefined || another !== undefined) throw new UsageError('--digest is of one tool', 'name that tool alone');
  if (!one.digest.startsWith(given))
    throw new CountersignError(
      'PIN_MOVED',
      `${pinName(one.state)} is declared as ${one.digest.slice(0, given.length)} by now: look again before you accept it`,
    );
}

function show(chosen: readonly Chosen[], reader: LedgerReader, output: Output): void {
  for (const { state } of chosen) {
    const lines = changeLines(state, reader, output);
    if (lines.length > 0) for (const line of [output.style('bold', safe(pinName(state))), ...lines.slice(1), '']) output.line(line);
  }
}

interface Answerer {
  readonly name: string;
  /** Absent: whoever sits at the terminal. */
  readonly signer: Signer | undefined;
}

async function answererOf(config: Config, invocation: Invocation): Promise<Answerer> {
  const { flags, io } = invocation;
  if (config.approvers.size > 0 || flags.on('key') || flags.on('as')) {
    const name = required(invocation, 'as', 'NAME');
    return { name, signer: await approverKey(config, name, invocation) };
  }
  if (!io.isTTY.stdin) {
    throw new CountersignError(
      'APPROVER_REFUSED',
      'nobody sits at a terminal here, and no approver has a key: run it in a terminal, or make a key with `countersign keygen` and list it under `approvers`',
    );
  }
  return { name: userInfo().username, signer: undefined };
}

async function commitAnswers(config: Config, verb: Verb, chosen: readonly Chosen[], who: Answerer): Promise<readonly PinState[]> {
  const store = openConfigured(config, { create: false, signNow: true });
  try {
    // The guard is not closed: it opened no session that could end.
    const { pins } = answeringGuard(config, store);
    for (const choice of choicesOf(chosen)) await answerOnce(pins, verb, choice, who);
    const names = new Set(chosen.map(({ state }) => pinName(state)));
    return (await pins.list()).filter((state) => names.has(pinName(state)));
  } finally {
    await store.close();
  }
}

/** One answer is about tools of one server. */
function choicesOf(chosen: readonly Chosen[]): readonly PinChoice[] {
  const choices: PinChoice[] = [];
  for (const [server, some] of Map.groupBy(chosen, ({ state }) => state.server)) {
    const tools = some.map(({ state, digest }) => ({ name: state.name, digest }));
    for (let at = 0; at < tools.length; at += MAX_AT_ONCE)
      choices.push({ ...(server !== undefined && { server }), tools: tools.slice(at, at + MAX_AT_ONCE) });
  }
  return choices;
}

async function answerOnce(pins: Guard['pins'], verb: Verb, choice: PinChoice, { name, signer }: Answerer): Promise<void> {
  const answer: Guard['pins']['accept'] = (...given) => (verb === 'accept' ? pins.accept(...given) : pins.revoke(...given));
  if (signer === undefined) return void (await answer(choice, { id: name, method: 'terminal' }));
  for (let round = 1; ; round++) {
    const draft = await pins.draft(verb === 'accept' ? 'accepted' : 'revoked', choice);
    const signature = Buffer.from(signer.sign(draft.statement(name))).toString('base64');
    try {
      return void (await answer(choice, { id: name, method: 'key', signature }, { before: draft.before }));
    } catch (error) {
      if (!CountersignError.is(error) || error.code !== 'PIN_MOVED' || round >= MAX_ROUNDS) throw error;
    }
  }
}
