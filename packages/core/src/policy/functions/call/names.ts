/** What the words of tools and of members mean. Hints only: whoever names a tool may lie. */

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Tools that run what they are given as a shell command. */
export const SHELL_TOOLS: ReadonlySet<string> = words(
  'bash sh zsh shell terminal exec execute cmd command powershell pwsh console subprocess run',
);
/** Of these, the words that say it without another one beside them. */
export const SURE_SHELL_TOOLS: ReadonlySet<string> = words('bash sh zsh shell terminal cmd command powershell pwsh subprocess');
/** Tools of another language: what they are given is no shell command. */
export const CODE_TOOLS: ReadonlySet<string> = words(
  'python py node javascript js typescript ts ruby php perl lua java julia notebook jupyter code repl browser page evaluate eval deno bun script',
);
export const BROWSER_TOOLS: ReadonlySet<string> = words('browser page playwright puppeteer selenium chrome dom');
export const SEARCH_TOOLS: ReadonlySet<string> = words('search web google bing brave duckduckgo kb docs find lookup');
export const WRITE_TOOLS: ReadonlySet<string> = words(
  'write create edit append save update put move rename copy insert replace patch apply overwrite modify download upload delete remove touch mkdir',
);

/** Tools that bring something to somebody else. */
export const SEND_TOOLS: ReadonlySet<string> = words(
  'send post publish upload forward reply tweet gist share webhook submit notify sms broadcast invite paste',
);
export const READ_TOOLS: ReadonlySet<string> = words('get list read search retrieve describe show find count preview check lookup');
export const BODY_MEMBERS: ReadonlySet<string> = words('body data payload form json files file content text');

export const COMMAND_MEMBERS: ReadonlySet<string> = words(
  'command cmd commands cmds cmdline commandline shell bash powershell script scripts',
);
export const PROGRAM_MEMBERS: readonly string[] = ['command', 'cmd', 'program', 'executable', 'binary', 'file', 'path', 'name'];
export const ARGUMENT_MEMBERS: ReadonlySet<string> = words('args argv arguments');
export const CODE_MEMBERS: ReadonlySet<string> = words('code source script program snippet expression');
/** Members of a shell tool that are not its command. */
export const ASIDE_MEMBERS: ReadonlySet<string> = words(
  'cwd dir directory workdir workspace path env environment timeout description explanation reason title id name session language user host label background',
);
export const QUERY_MEMBERS: ReadonlySet<string> = words('sql query queries statement statements');
export const SURE_QUERY_MEMBERS: ReadonlySet<string> = words('sql statement statements');
export const PATH_MEMBERS: ReadonlySet<string> = words(
  'path paths file files filename filenames filepath filepaths dir directory folder source src destination dest dst target output input location cwd root repo',
);
/** Members whose text is what is written, said or sent, not where. */
export const CONTENT_MEMBERS: ReadonlySet<string> = words(
  'content contents text body data message msg html markdown diff patch edits old new str insert value values note notes comment description summary subject title prompt thought query q cell payload chunks parts pattern todos',
);
export const TARGET_MEMBERS: ReadonlySet<string> = words('url urls uri href endpoint link webhook website site page address');
export const HOST_MEMBERS: ReadonlySet<string> = words('host hostname domain server');
export const RECIPIENT_MEMBERS: ReadonlySet<string> = words(
  'to cc bcc recipient recipients attendee attendees invitee invitees email emails',
);
export const AMOUNT_MEMBERS: ReadonlySet<string> = words('amount amounts total sum value lamports satoshis sats wei');
export const PAYEE_MEMBERS: ReadonlySet<string> = words('iban bic routing beneficiary payee wallet');
export const PAYEE_NAMES: ReadonlySet<string> = words(
  'account accountnumber accountid toaccount targetaccount destinationaccount bankaccount externalaccount recipient destination to',
);
