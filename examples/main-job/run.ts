/**
 * The main job on real input: Countersign guards a real MCP server and two agents of other frameworks on one ledger, people
 * answer, and afterwards anyone can check.
 *
 * `npm start` runs it; `-- --json` prints one document. Exit 0 only if everything came out as stated.
 */
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { type CommandResult, Stage } from './stage.ts';
import { Story } from './story.ts';

const SECRET = `sk_live_${'4eC39HqLyjWDarjtT1zdp7dc'}`;
const story = new Story(process.argv.includes('--json'));
const stage = new Stage();
const inWorkspace = (name: string): string => join(stage.workspace, name);

try {
  await setUp();
  const { olderCopy } = await guardTheServer();
  await guardTheAgents();
  await stage.disconnect();
  await checkAfterwards(olderCopy);
} catch (error) {
  story.step('the job ran to its end', false, error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await stage.disconnect();
  rmSync(dirname(stage.workspace), { recursive: true, force: true });
}
process.exitCode = story.end() ? 0 : 1;

async function setUp(): Promise<void> {
  story.chapter('1. Keys and rules');
  const ledgerKey = await stage.countersign('keygen', '--out', inWorkspace('.countersign/ledger.key'), '--name', 'main-job.example/log');
  const editorKey = await stage.countersign('keygen', '--out', join(stage.outside, 'editor.key'), '--name', 'editor', '--json');
  const editor: unknown = JSON.parse(editorKey.stdout);
  const vkey = typeof editor === 'object' && editor !== null && 'vkey' in editor ? String(editor.vkey) : '';
  writeFileSync(
    stage.config,
    `version: 1
agent: main-job
mode: enforce
policy:
  id: main-job
  version: "1"
  default: deny
  rules:
    - { id: look,    tools: ["files/read_*", "files/list_*"], effect: allow }
    - { id: drafts,  tools: [files/write_file], when: "!args.path.contains('/published/')", effect: allow }
    - { id: publish, tools: [files/write_file], when: "args.path.contains('/published/')", effect: require_approval, reason: publishing needs the editor, approval: { ttl: 5m, approvers: [editor] } }
    - { id: no-move, tools: [move_file], effect: deny, reason: files stay where they are }
    - { id: prices,  tools: [shop/price], effect: allow }
    - { id: orders,  tools: [shop/order], effect: require_approval, reason: orders need the editor, approval: { ttl: 5m, approvers: [editor] } }
    - { id: no-sale, tools: [discount], effect: deny, reason: prices stay what they are }
budgets:
  - { id: reads, per: tool, limit: 3, window: 1h, tools: [files/read_text_file] }
approvers: { editor: { key: "${vkey}" } }
# The client is told at once that a call waits: nobody answers before it asks again.
mcp: { hold: 0 }
ledger: { origin: main-job.example/log }
`,
  );
  story.step(
    'keys for ledger and editor',
    ledgerKey.code === 0 && editorKey.code === 0,
    `the editor's key stays outside the agent's workspace: ${vkey}`,
  );
}

async function guardTheServer(): Promise<{ readonly olderCopy: string }> {
  story.chapter('2. A real MCP server behind `countersign proxy`');
  const tools = await stage.connect();
  story.step(
    'the client sees what it may use',
    tools.includes('read_text_file') && tools.includes('write_file') && !tools.includes('move_file'),
    `${tools.length} tools: ${tools.slice(0, 5).join(', ')} ...; not move_file, of which no call could run`,
  );

  const read = await stage.call('read_text_file', { path: inWorkspace('notes.txt') });
  story.step(
    'allowed by a rule',
    !read.isError && read.text.includes('Ship on Friday'),
    `read notes.txt → ${JSON.stringify(read.text.trim())}`,
  );

  const move = await stage.call('move_file', { source: inWorkspace('notes.txt'), destination: inWorkspace('gone.txt') });
  story.step('denied by a rule', move.reasonCode === 'POLICY_DENY_HIGH_RISK' && existsSync(inWorkspace('notes.txt')), move.text);

  const own = await stage.call('read_text_file', { path: inWorkspace('.countersign/ledger.key') });
  story.step(
    "Countersign's own files are denied",
    own.reasonCode === 'POLICY_DENY_OWN_FILES' && !own.text.includes('PRIVATE KEY'),
    own.text,
  );

  const secret = await stage.call('write_file', { path: inWorkspace('deploy.txt'), content: `payment key: ${SECRET}\n` });
  const wrote = readFileSync(inWorkspace('deploy.txt'), 'utf8').includes(SECRET);
  story.step(
    'a secret passes and is not recorded',
    !secret.isError && wrote && !filesContain(SECRET),
    'the file has it, because the call allowed is the call made; no byte of the ledger does',
  );

  const olderCopy = join(stage.outside, 'older.db');
  await backUp(olderCopy);
  await approvals();

  for (let left = 2; left > 0; left--) await stage.call('read_text_file', { path: inWorkspace('notes.txt') });
  const fourth = await stage.call('read_text_file', { path: inWorkspace('notes.txt') });
  story.step('a budget runs out', fourth.reasonCode === 'BUDGET_EXCEEDED_TOOL_RATE', fourth.text);
  return { olderCopy };
}

async function approvals(): Promise<void> {
  const post = { path: inWorkspace('published/post.md'), content: '# Hello\n' };
  const asked = await stage.call('write_file', post);
  const waits = asked.approvalId !== undefined && !existsSync(post.path);
  story.step('publishing waits for a human', waits, asked.text);

  const forged = await stage.countersign(
    'approvals',
    'approve',
    asked.approvalId ?? '',
    '--key',
    inWorkspace('.countersign/ledger.key'),
    '--as',
    'editor',
    '--config',
    stage.config,
  );
  const approved = await approve(asked.approvalId);
  story.step(
    "only the editor's key approves",
    forged.code !== 0 && approved.code === 0,
    `with another key: ${firstLine(forged.stderr)}\nwith the editor's: ${firstLine(approved.stdout)}`,
  );

  const retried = await stage.call('write_file', post);
  story.step('the approved call runs', !retried.isError && existsSync(post.path), retried.text);

  rmSync(post.path);
  const again = await stage.call('write_file', post);
  const replayed = await approve(asked.approvalId);
  const refused = again.isError && again.approvalId !== asked.approvalId && !existsSync(post.path) && replayed.code !== 0;
  story.step(
    'an approval cannot be used twice',
    refused,
    `the same call again asks anew; answering the used one: ${firstLine(replayed.stderr)}`,
  );

  const other = { path: inWorkspace('published/rumour.md'), content: 'unverified\n' };
  const pending = await stage.call('write_file', other);
  await stage.countersign(
    'approvals',
    'deny',
    pending.approvalId ?? '',
    '--key',
    join(stage.outside, 'editor.key'),
    '--as',
    'editor',
    '--message',
    'no source given',
    '--config',
    stage.config,
  );
  const denied = await stage.call('write_file', other);
  story.step(
    'the editor says no',
    denied.reasonCode === 'APPROVAL_DENIED' && denied.text.includes('no source given') && !existsSync(other.path),
    denied.text,
  );
}

/** The editor answers, with the command and with the key that no agent sees. */
function approve(approvalId = ''): Promise<CommandResult> {
  const key = join(stage.outside, 'editor.key');
  return stage.countersign('approvals', 'approve', approvalId, '--key', key, '--as', 'editor', '--config', stage.config);
}

async function guardTheAgents(): Promise<void> {
  story.chapter('3. A LangChain agent and an AI SDK agent on the same ledger');
  const asked = await stage.agents('start');
  for (const { agent, told, approvalId } of asked) {
    const [price = '', discount = ''] = told;
    story.step(
      `${agent}: runs, denied, asks`,
      price === 'tea costs 7' && discount.includes('[POLICY_DENY_HIGH_RISK') && approvalId !== undefined,
      `price    → ${price}\ndiscount → ${discount}\norder    → waits for approval ${approvalId ?? ''}`,
    );
  }
  // The proxy, another process, goes on working beside them.
  const proxied = await stage.call('list_directory', { path: stage.workspace });
  const answers = await Promise.all(asked.map(({ approvalId }) => approve(approvalId)));
  story.step(
    'the editor approves both orders',
    answers.length === 2 && answers.every(({ code }) => code === 0) && stage.orders().length === 0 && !proxied.isError,
    answers.map(({ stdout, stderr }) => firstLine(stdout + stderr)).join('\n'),
  );
  const resumed = await stage.agents('resume');
  const orders = stage.orders();
  story.step(
    'started again, each orders once',
    resumed.length === 2 && resumed.every(({ told }) => told.at(-1) === 'ordered 40 tea') && orders.length === 2,
    orders.join('\n'),
  );
}

interface Report {
  readonly status: string;
  readonly entries: number;
  readonly end: string;
  readonly problems: readonly { readonly entry: number; readonly code: string; readonly message: string }[];
}

async function checkAfterwards(olderCopy: string): Promise<void> {
  story.chapter('4. Afterwards, with nothing but the ledger and a public key');
  const publicKey = inWorkspace('.countersign/ledger.key.pub');
  const head = await stage.countersign('head', stage.ledger);
  const headFile = join(stage.outside, 'head.note');
  writeFileSync(headFile, head.stdout);

  const verify = async (path: string, ...more: readonly string[]): Promise<{ readonly code: number; readonly report: Report }> => {
    const { code, stdout } = await stage.countersign(
      'verify',
      path,
      '--public-key',
      publicKey,
      '--config',
      stage.config,
      '--json',
      ...more,
    );
    return { code, report: JSON.parse(stdout) as Report };
  };
  const intact = await verify(stage.ledger, '--against', headFile);
  story.step(
    'the ledger is intact',
    intact.code === 0 && intact.report.status === 'valid' && intact.report.end === 'proven',
    `${intact.report.entries} entries, every one under the signed root; nothing missing at the end`,
  );

  await whoDidWhat();

  const flipped = join(stage.outside, 'flipped.db');
  const entry = Math.floor(intact.report.entries / 2);
  await backUp(flipped);
  flipOneByte(flipped, entry);
  const changed = await verify(flipped);
  const named = changed.report.problems.some((problem) => problem.entry === entry);
  story.step(
    'one flipped byte is found and named',
    changed.code === 1 && named,
    changed.report.problems
      .map((problem) => `entry ${problem.entry}: ${problem.code}: ${problem.message}`)
      .slice(0, 2)
      .join('\n'),
  );

  const older = await verify(olderCopy);
  const cut = await verify(olderCopy, '--against', headFile);
  const caught = cut.code === 1 && cut.report.end === 'contradicted';
  story.step(
    'a cut tail is found by --against',
    older.code === 0 && caught,
    `by itself the shorter copy is ${older.report.status}; against the head: ${cut.report.problems[0]?.message ?? ''}`,
  );

  const text = await stage.countersign('verify', stage.ledger, '--public-key', publicKey, '--config', stage.config, '--against', headFile);
  story.chapter('What an auditor reads');
  for (const line of text.stdout.trimEnd().split('\n')) story.say(line);
}

/** Each line of a ledger names its agent, whatever guarded it: the proxy, a middleware, a wrapped tool. */
async function whoDidWhat(): Promise<void> {
  const picked = await stage.countersign('filter', stage.ledger, '--config', stage.config);
  const entries = picked.stdout.trimEnd().split('\n').map(entryOf);
  const told = ['main-job', 'langchain-agent', 'ai-sdk-agent'].map((name) => {
    const own = entries.filter(({ agent }) => agent === name);
    const decided = (word: string): readonly string[] => own.flatMap(({ effect, tool }) => (effect === word ? [tool?.name ?? ''] : []));
    const [allowed, denied] = [decided('allow'), decided('deny')];
    const of = (kind: string): number => own.filter((entry) => entry.kind === kind).length;
    return {
      isComplete: allowed.length > 0 && denied.length > 0 && of('approval') > 0 && of('outcome') === allowed.length,
      line: `${name}: ran ${counted(allowed)}; denied ${counted(denied)}; ${of('approval')} answered by the editor`,
    };
  });
  story.step(
    'it tells who did what',
    told.every(({ isComplete }) => isComplete),
    told.map(({ line }) => line).join('\n'),
  );
}

interface Entry {
  readonly agent?: string;
  readonly kind?: string;
  readonly effect?: string;
  readonly tool?: { readonly name: string };
}

/** @param line - of what `filter` prints: an entry as an export has it. */
function entryOf(line: string): Entry {
  return (JSON.parse(line) as { readonly entry: Entry }).entry;
}

function counted(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`)).join(', ');
}

/** A consistent copy of the live ledger. */
async function backUp(to: string): Promise<void> {
  const source = new Sqlite(stage.ledger, { readonly: true });
  await source.backup(to);
  source.close();
}

/** What somebody with an editor would do: one letter of one entry, in place. @param entry - counted from 1. */
function flipOneByte(path: string, entry: number): void {
  const database = new Sqlite(path);
  database.exec('DROP TRIGGER entries_no_update');
  const body =
    database
      .prepare<[number], string>('SELECT body FROM entries WHERE seq = ?')
      .pluck()
      .get(entry - 1) ?? '';
  const at = body.indexOf('main-job');
  const letter = String.fromCharCode(body.charCodeAt(at) ^ 1);
  database.prepare('UPDATE entries SET body = ? WHERE seq = ?').run(body.slice(0, at) + letter + body.slice(at + 1), entry - 1);
  // The trigger goes back where it was: only the byte differs.
  database.exec(`CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END`);
  database.close();
}

function filesContain(text: string): boolean {
  const copy = join(stage.outside, 'scan');
  return [stage.ledger, `${stage.ledger}-wal`].some((file) => {
    if (!existsSync(file)) return false;
    copyFileSync(file, copy);
    return readFileSync(copy).includes(text);
  });
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0] ?? '';
}
