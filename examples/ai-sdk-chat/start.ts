/** For a person: `npm run --silent example:chat -- [port]`. Ledger and payments stay in a folder of their own. */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startChatServer } from './server.ts';

const DEFAULT_PORT = 4310;
const FOLDER = '.countersign/ai-sdk-chat';

// Not strict: an option is no port either, and is told so.
const { positionals, values } = parseArgs({ allowPositionals: true, strict: false });
const [asked = String(DEFAULT_PORT)] = positionals;
const port = Number(asked);
if (Object.keys(values).length > 0 || positionals.length > 1 || !/^\d{1,5}$/.test(asked) || port > 65_535) {
  console.error(`a port is a number from 0 to 65535; 0 takes any free one. For example: npm run --silent example:chat -- ${DEFAULT_PORT}`);
  process.exit(2);
}

// New at every start. Who is signed in stays so: the cookie is signed with a key that is kept.
const users = new Map(['ana', 'ben'].map((name) => [name, randomBytes(8).toString('hex')]));
try {
  const server = await startChatServer({ folder: FOLDER, users, port });
  console.log(`The shop assistant, with a scripted model. Sign in as one of two people:

${[...users].map(([name, password]) => `  ${name}  ${server.url}/#${name}:${password}`).join('\n')}

Try: order 1001            it looks that up by itself
     refund 1001 450       it asks you first; then reload, or open a second tab
     erase customer 7      it may not, whatever you say
     read ticket 7         the ticket tries to give it orders
     payment log           there is a key in it that nobody sees

What was paid:    ${FOLDER}/payments.txt
What was decided: npm run --silent countersign -- filter ${FOLDER}/ledger.db
Ctrl-C ends it. Started again, it knows what was asked and answered.`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.close());
} catch (error) {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error;
  const why = code === 'EADDRINUSE' ? 'is taken' : 'may not be used';
  console.error(`port ${port} ${why}; name another: npm run --silent example:chat -- ${port === 65_535 ? DEFAULT_PORT : port + 1}`);
  process.exitCode = 1;
}
