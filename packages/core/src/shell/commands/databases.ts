/** Clients of databases: the statement is read for words that change or remove, the client for ways to a shell. */
import { type Field, isHidden, isKnown } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { type Call, type Handler, has, parseOptions, valuesOf } from './call.ts';
import { noteHost } from './network.ts';

interface Client {
  readonly short: string;
  readonly long: readonly string[];
  readonly statement: readonly string[];
  readonly host: readonly string[];
  readonly file: readonly string[];
}

const CLIENTS: Readonly<Record<string, Client>> = {
  psql: {
    short: 'cdfhLoPpUvFRT',
    long: ['command', 'dbname', 'file', 'host', 'log-file', 'output', 'port', 'username', 'set', 'variable'],
    statement: ['c', 'command'],
    host: ['h', 'host'],
    file: ['f', 'file'],
  },
  mysql: {
    short: 'DehPSu',
    long: ['execute', 'database', 'host', 'port', 'socket', 'user', 'defaults-file', 'default-character-set'],
    statement: ['e', 'execute'],
    host: ['h', 'host'],
    file: [],
  },
  sqlite3: { short: '', long: ['init', 'cmd', 'separator'], statement: ['cmd'], host: [], file: ['init'] },
  sqlcmd: { short: 'SUPdQqiovE', long: ['query', 'server'], statement: ['Q', 'q', 'query'], host: ['S', 'server'], file: ['i'] },
  'clickhouse-client': {
    short: 'hudq',
    long: ['query', 'host', 'user', 'password', 'database', 'queries-file'],
    statement: ['q', 'query'],
    host: ['h', 'host'],
    file: ['queries-file'],
  },
  cqlsh: {
    short: 'efukp',
    long: ['execute', 'file', 'username', 'password', 'keyspace'],
    statement: ['e', 'execute'],
    host: [],
    file: ['f', 'file'],
  },
  duckdb: { short: 'cs', long: ['init', 'cmd'], statement: ['c', 's', 'cmd'], host: [], file: ['init'] },
  bq: { short: '', long: [], statement: [], host: [], file: [] },
};
const SAME: Readonly<Record<string, string>> = {
  mariadb: 'mysql',
  mycli: 'mysql',
  pgcli: 'psql',
  usql: 'psql',
  sqlite: 'sqlite3',
  litecli: 'sqlite3',
  clickhouse: 'clickhouse-client',
};

const DESTROYS: ReadonlySet<string> = new Set([
  'drop',
  'truncate',
  'delete',
  'update',
  'alter',
  'replace',
  'revoke',
  'shutdown',
  'kill',
  'reindex',
  'vacuum',
  'detach',
  'overwrite',
  'merge',
]);

/**
 * Could these statements remove or change what is there? Words outside quotes are compared; a word that is a name costs a
 * question, a statement that is missed costs data.
 */
export function isDestructiveSql(text: string): boolean {
  return wordsOf(text).some((word) => DESTROYS.has(word));
}

function wordsOf(text: string): readonly string[] {
  const words: string[] = [];
  let word = '';
  for (const character of `${text.toLowerCase()} `) {
    if ((character >= 'a' && character <= 'z') || character === '_' || (character >= '0' && character <= '9')) word += character;
    else {
      if (word !== '') words.push(word);
      word = '';
    }
  }
  return words;
}

const sql: Handler = (call) => {
  const { recorder, input, state } = call.context;
  const known = SAME[call.name] ?? call.name;
  const client = Object.hasOwn(CLIENTS, known) ? CLIENTS[known] : undefined;
  if (client === undefined) return;
  const options = parseOptions(call.args, {
    short: client.short,
    long: [...client.long],
    ...(known === 'sqlite3' || known === 'duckdb' ? { words: true } : {}),
  });
  if (options.hidden) recorder.undecided('argument');
  if (
    call.args.some((arg, i) =>
      /^(?:-o|--output|--log-file)$/.test(call.args[i - 1] ?? '')
        ? arg.startsWith('|')
        : /^(?:-o\||--output=\||--pager|--init-command)/.test(arg),
    )
  )
    recorder.undecided('code');
  for (const host of valuesOf(options, ...client.host)) noteHost(host, call);
  for (const operand of options.operands) if (operand.includes('://')) noteHost(operand, call);
  if (known !== 'sqlite3' && known !== 'duckdb') recorder.find('network');
  const statements = [...valuesOf(options, ...client.statement)];
  if (known === 'sqlite3' || known === 'duckdb') {
    statements.push(...options.operands.slice(1));
    if (options.operands[0] !== undefined && options.operands[0] !== ':memory:')
      recorder.path('mention', options.operands[0], state.places);
  }
  for (const file of valuesOf(options, ...client.file)) {
    if (isKnown(file) && file !== '-' && !file.startsWith('/dev/')) recorder.script(file, state.places);
    else recorder.runsUnknown('script');
  }
  if (statements.length === 0 && input.kind !== 'inherited' && valuesOf(options, ...client.file).length === 0) {
    if (input.kind === 'text') statements.push(input.text);
    else recorder.runsUnknown('script');
  }
  for (const statement of statements) judge(statement, call);
};

function judge(statement: Field, { context }: Call): void {
  if (isHidden(statement)) context.recorder.undecided('argument');
  if (isDestructiveSql(statement)) context.recorder.find('destructive');
  const lower = statement.toLowerCase();
  // Ways from a statement to a shell: \! and \copy ... program, system, .shell, xp_cmdshell, load_extension.
  const isCommand =
    lower.includes('\\') || lower.trimStart().startsWith('.') || lower.includes('\n.') || SHELLS.some((word) => lower.includes(word));
  if (isCommand) context.recorder.undecided('code');
}
const SHELLS: readonly string[] = [
  'program',
  'system',
  'xp_cmdshell',
  'load_extension',
  'lo_export',
  'outfile',
  'dumpfile',
  'pg_read_file',
  'readfile',
  'writefile',
  'source ',
  'execute',
  'do $$',
  'copy ',
  'sys_exec',
  'language ',
  'edit(',
  'terminate_backend',
];

const DROPS: ReadonlySet<string> = new Set([
  'dropdb',
  'dropuser',
  'mysqladmin',
  'pg_resetwal',
  'pg_drop_replication_slot',
  'initdb',
  'mongorestore',
  'pg_restore',
  'mysqlimport',
  'cbq',
  'redis-shake',
]);

const REDIS_DESTROYS: ReadonlySet<string> = new Set([
  'flushall',
  'flushdb',
  'del',
  'unlink',
  'shutdown',
  'config',
  'script',
  'function',
  'replicaof',
  'slaveof',
  'debug',
  'migrate',
  'restore',
  'rename',
  'acl',
  'cluster',
  'module',
  'failover',
  'swapdb',
  'save',
  'bgsave',
  'set',
  'hdel',
  'ltrim',
  'zremrangebyrank',
  'expire',
  'pexpire',
  'getdel',
  'spop',
  'srem',
  'zrem',
  'xtrim',
  'xdel',
]);
const redis: Handler = (call) => {
  const { recorder, input } = call.context;
  recorder.find('network');
  const options = parseOptions(call.args, {
    short: 'hpstuanriX',
    long: ['user', 'pass', 'askpass', 'cacert', 'cert', 'key', 'eval', 'pattern', 'rdb', 'pipe'],
    stops: true,
  });
  for (const host of valuesOf(options, 'h', 'u')) noteHost(host, call);
  const [verb = ''] = options.operands;
  if (isHidden(verb) || options.hidden) recorder.undecided('argument');
  if (REDIS_DESTROYS.has(verb.toLowerCase())) recorder.find('destructive');
  if (/^(eval|evalsha|fcall)/i.test(verb) || has(options, 'eval')) recorder.undecided('code');
  if (verb === '' && input.kind !== 'inherited') {
    if (input.kind === 'text' && !wordsOf(input.text).some((word) => REDIS_DESTROYS.has(word) || word === 'eval')) return;
    if (input.kind === 'text') recorder.find('destructive');
    else recorder.runsUnknown('script');
  }
};

const mongo: Handler = (call) => {
  const { recorder, input } = call.context;
  recorder.find('network');
  const options = parseOptions(call.args, {
    long: ['eval', 'host', 'port', 'username', 'password', 'authenticationDatabase', 'file'],
    short: 'upf',
  });
  if (has(options, 'eval')) {
    const code = valuesOf(options, 'eval').join(' ').toLowerCase();
    if (/drop|remove|delete|shutdown|rename/.test(code)) recorder.find('destructive');
    recorder.undecided('code');
  } else if (input.kind !== 'inherited') recorder.runsUnknown('script');
  for (const operand of options.operands) {
    if (operand.includes('://')) noteHost(operand, call);
    else if (operand.endsWith('.js')) recorder.script(operand, call.context.state.places);
  }
};

const drops: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  if (
    call.name !== 'mysqladmin' ||
    call.args.some((arg) => ['drop', 'shutdown', 'kill', 'flush-hosts', 'password', 'create'].includes(arg) || isHidden(arg))
  )
    recorder.find('destructive');
  mentionPaths(call.args, call.context);
};

const dump: Handler = (call) => {
  call.context.recorder.find('network');
  const options = parseOptions(call.args, {
    short: 'fhUpdnts',
    long: ['file', 'host', 'username', 'port', 'dbname', 'table', 'schema', 'result-file'],
  });
  for (const path of valuesOf(options, 'f', 'file', 'result-file')) call.context.recorder.path('write', path, call.context.state.places);
  for (const host of valuesOf(options, 'h', 'host')) noteHost(host, call);
};

/** Tools of frameworks that rebuild a database. */
const MIGRATIONS: readonly string[] = [
  'db:drop',
  'db:reset',
  'db:purge',
  'db:wipe',
  'migrate:fresh',
  'migrate:reset',
  'migrate:refresh',
  'migrate:rollback',
  'db:schema:load',
  'db:truncate_all',
  'db:rollback',
  'db:migrate:undo:all',
  'flush',
  'sqlflush',
  'reset_db',
  'db:setup',
  'db:seed:replant',
];
const framework: Handler = (call) => {
  const { recorder } = call.context;
  const [first = '', second = ''] = call.args.filter((arg) => !arg.startsWith('-'));
  if (call.args.some((arg) => MIGRATIONS.includes(arg))) recorder.find('destructive');
  if (
    call.name === 'prisma' &&
    (first === 'migrate' || first === 'db') &&
    (second === 'reset' || (second === 'push' && call.args.some((arg) => arg.startsWith('--force') || arg.startsWith('--accept'))))
  )
    recorder.find('destructive');
  if (first === 'runner' || first === 'tinker' || (call.name === 'prisma' && second === 'execute')) recorder.undecided('code');
  if (call.name === 'knex' && (first.includes('rollback') || first.includes('reset'))) recorder.find('destructive');
  if (call.name === 'alembic' && first === 'downgrade') recorder.find('destructive');
  if (isHidden(first)) recorder.undecided('argument');
  mentionPaths(call.args, call.context);
};

export const DATABASES: readonly (readonly [string, Handler])[] = [
  ...[...Object.keys(CLIENTS), ...Object.keys(SAME)].filter((name) => name !== 'bq').map((name): readonly [string, Handler] => [name, sql]),
  ...[...DROPS].map((name): readonly [string, Handler] => [name, drops]),
  ...['pg_dump', 'pg_dumpall', 'mysqldump', 'mongodump', 'mariadb-dump'].map((name): readonly [string, Handler] => [name, dump]),
  ...['redis-cli', 'valkey-cli', 'keydb-cli', 'memcached-tool'].map((name): readonly [string, Handler] => [name, redis]),
  ...['mongo', 'mongosh'].map((name): readonly [string, Handler] => [name, mongo]),
  ...[
    'prisma',
    'rails',
    'rake',
    'artisan',
    'django-admin',
    'sequelize',
    'sequelize-cli',
    'knex',
    'typeorm',
    'drizzle-kit',
    'alembic',
    'flask',
  ].map((name): readonly [string, Handler] => [name, framework]),
];
