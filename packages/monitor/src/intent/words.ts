/** Words of a task, and what they ask for. English only. */

/** What can be asked for, and what can be observed. */
export const DEEDS = ['delete', 'spawn', 'network', 'config', 'write', 'read'] as const;
export type Deed = (typeof DEEDS)[number];

/** What a word asks for, and what may well come with it: there the task is unclear, not silent. */
export interface Meaning {
  /** The first is what it is about: "do not build" rules out running programs, not every write. */
  readonly asks: readonly Deed[];
  readonly maybe?: readonly Deed[];
}

/** Work on a project: it writes and runs things, cleans up after itself, and may fetch what it needs. */
const WORK: Meaning = { asks: ['write', 'spawn'], maybe: ['delete', 'network'] };
const BUILD: Meaning = { asks: ['spawn', 'write'], maybe: ['delete', 'network'] };
const DELETE: Meaning = { asks: ['delete', 'write'] };
const SPAWN: Meaning = { asks: ['spawn'] };
const NETWORK: Meaning = { asks: ['network'] };
const WRITE: Meaning = { asks: ['write'] };
const READ: Meaning = { asks: ['read'] };
const INSTALL: Meaning = { asks: ['config', 'write', 'spawn', 'network'], maybe: ['delete'] };
const CONFIG: Meaning = { asks: ['config', 'write'] };
const SENDING: Meaning = { asks: ['network', 'spawn', 'write'], maybe: ['delete'] };

/** A stem stands for its word and the endings of `ENDINGS`. Irregular forms have lines of their own. */
const STEMS: readonly (readonly [stems: string, meaning: Meaning])[] = [
  ['delet remov eras purg trash wip shred prun unlink drop clean cleanup clear tidy tidi uninstall discard empty empti rm', DELETE],
  ['spawn execut launch fork run runn ran start invok call benchmark profil', SPAWN],
  [
    'download upload fetch send sent post pull push http https url network connect curl wget scrap crawl brows request api web website',
    NETWORK,
  ],
  ['config configur configuration setting setup enabl disabl', CONFIG],
  ['install upgrad provision', INSTALL],
  [
    'write writ wrote written creat sav stor modif modify update updat edit append generat add insert replac renam mov copy copi chang format convert translat draft record document rewrit rewrot rewritten mak made produc export touch alter overwrit',
    WRITE,
  ],
  [
    'read check list show display print get load open view search find found scan analyz analys inspect pars summar summari explain review compar count look describ understand investigat tell audit verif verify',
    READ,
  ],
  ['fix refactor implement repair develop migrat port solv resolv merg', WORK],
  ['build built rebuild rebuilt compil test debug lint commit packag bundl', BUILD],
  ['deploy publish releas clon sync synchroni', SENDING],
];

const ENDINGS: ReadonlySet<string> = new Set(
  ' e s es ed d ing ings er ers or ors ion ions ation ations ication ications ure is y ies ied al als ize izes ized izing ise ises ised ising ze zes zed zing se sed ses sing ting ted ning'.split(
    ' ',
  ),
);

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  STEMS.flatMap(([stems, meaning]) => stems.split(' ').map((stem) => [stem, meaning])),
);
const LONGEST_ENDING = 8;

/** @param word - lower case letters. Undefined: it asks for nothing. */
export function meaningOf(word: string): Meaning | undefined {
  // The longest stem wins: `settings` is no form of `set`.
  for (let end = word.length; end >= Math.max(1, word.length - LONGEST_ENDING); end--) {
    const meaning = MEANINGS.get(word.slice(0, end));
    if (meaning !== undefined && ENDINGS.has(word.slice(end))) return meaning;
  }
  return undefined;
}
