/** Databases: what destroys, what changes whole tables, what leaves the database. */
import * as z from 'zod';
import type { Policy } from '../policy/policy.ts';
import type { Rule } from '../policy/rule-definition.ts';
import { type CommonOptions, definePack, type Pack, packPolicy } from './pack.ts';
import { ANY_TOOL, celList, celPattern, SQL_DESTROYS } from './words.ts';

export interface DatabaseOptions extends CommonOptions {
  /**
   * `deny`: only what is seen to only read; `ask`: everything else asks; `allow`: only what destroys asks. `allow` when
   * absent.
   */
  readonly writes?: 'deny' | 'ask' | 'allow' | undefined;
}

export const database: Pack<DatabaseOptions> = definePack<DatabaseOptions>(
  {
    name: 'database',
    version: '1',
    summary: 'statements that destroy, change whole tables, leave the database, or write at all',
    example: {},
    blind: [
      'What triggers, functions and procedures do.',
      'Statements under names of arguments that nothing suggests, and those a program builds.',
    ],
    rules: ({ writes = 'allow' }) => [
      asks('destroys', 'the statement destroys tables or the rows of a whole table, or is too long to be read', query(SQL_DESTROYS)),
      asks(
        'leaves',
        'the statement reads or writes files, runs programs or reaches other servers',
        query(`!sql(q).readOnly && ${matches(LEAVES_DATABASE)}`),
      ),
      asks(
        'rights',
        'the statement changes who may do what',
        query(`!sql(q).readOnly && (sql(q).statements.exists(s, s in ["grant", "revoke", "deny"]) || ${matches(RIGHTS)})`),
      ),
      asks(
        'several',
        'there are several statements in one text',
        query(`sql(q).statements.size() > 1 || sql(q).undecided && ${matches(String.raw`(?is)^[^'"]*;\s*[a-z]`)}`),
      ),
      asks('documents', 'the call deletes or changes every document', DOCUMENTS),
      asks(
        'command',
        'the command gives a database a statement that destroys',
        `commands(tool, args).exists(c, c.matches(${celPattern(CLIENT)}) && c.matches(${celPattern(String.raw`(?i)\b(?:drop\s+(?:table|database|schema|user|role)|truncate\s|delete\s+from|flushall|flushdb|dropDatabase|deleteMany\(\s*\{\s*\}\s*\))`)})) || runs(tool, args).exists(name, name in ["dropdb", "dropuser"])`,
      ),
      ...(writes === 'allow' ? [] : [writing(writes)]),
    ],
  },
  {
    writes: z
      .enum(['deny', 'ask', 'allow'])
      .optional()
      .describe('deny: only what is seen to only read; ask: everything else asks; allow when absent: only what destroys asks'),
  },
);

export function databasePack(options: DatabaseOptions = {}): Policy {
  return packPolicy(database, options);
}

const LEAVES_DATABASE = String.raw`(?is)\bcopy\b.*\b(?:program|to\s+'|from\s+')|\binto\s+(?:outfile|dumpfile)\b|\bload_file\s*\(|\bload\s+data\b|\bxp_cmdshell\b|\bsp_oacreate\b|\bdblink\w*\s*\(|\bpg_read_file\s*\(|\bpg_ls_dir\s*\(|\blo_(?:import|export)\s*\(|\bopenrowset\b|\butl_http\b|\battach\s+database\b|\bload_extension\s*\(|\bcreate\s+(?:or\s+replace\s+)?(?:function|extension|server)\b`;
const RIGHTS = String.raw`(?is)(?:^|;|\*/)\s*(?:grant|revoke)\b|\b(?:create|alter|drop)\s+(?:user|role|login)\b|\bset\s+(?:global|session\s+authorization|role)\b|\balter\s+system\b|\bdisable\s+(?:trigger|row\s+level)\b`;
const CLIENT = String.raw`\b(?:psql|mysql|mariadb|sqlite3?|sqlcmd|mongosh?|redis-cli|clickhouse-client|cockroach)\b`;
const DOCUMENTS = `named(tool, ${celList(['drop', 'flushall', 'flushdb', 'truncate'])}) || named(tool, ["delete", "update"]) && has(args.filter) && texts(args.filter).size() == 0`;

/** Some statement `q` of the call. */
function query(condition: string): string {
  return `queries(tool, args).exists(q, ${condition})`;
}

function matches(pattern: string): string {
  return `q.matches(${celPattern(pattern)})`;
}

function writing(writes: 'deny' | 'ask'): Rule {
  const rule = {
    id: 'database.writes',
    tools: ANY_TOOL,
    when: query('!sql(q).readOnly'),
    reason: 'the statement writes, or cannot be seen to only read',
    reason_code: 'DATABASE_WRITES',
  };
  return { ...rule, effect: writes === 'deny' ? 'deny' : 'require_approval' };
}

function asks(id: string, reason: string, when: string): Rule {
  const code = `DATABASE_${id.toUpperCase().replaceAll('-', '_')}`;
  return { id: `database.${id}`, tools: ANY_TOOL, when, effect: 'require_approval', reason, reason_code: code };
}
