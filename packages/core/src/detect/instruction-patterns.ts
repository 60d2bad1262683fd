/**
 * What text says that speaks to a model instead of to its user, as patterns over folded words (`fold.ts`).
 *
 * `_` is any one word. Every gap is bounded, so that each pattern is linear in the text. The languages besides English are
 * those most spoken; their commonest phrases, not all of them.
 */

/** `override`: leave what you were told. `persona`: be somebody else. `secrecy`: the user must not know. `disclosure`: give away prompts, keys, conversations. `steering`: addresses a model that reads it. */
export type WordKind = 'disclosure' | 'override' | 'persona' | 'secrecy' | 'steering';

const WHAT_EN =
  '(?:instructions?|prompts?|directives?|guidelines?|orders|directions?|commands|programming|training|constraints|conversation)';
const WHEN_EN = '(?:previous|prior|above|preceding|earlier|foregoing|initial|original|system|your|existing|former|past)';
const USER_EN = '(?:the |your |this |any )?(?:user|users|human|humans|operator|person you)';
const MODEL_EN =
  '(?:ai|llm|llms|language model|large language model|chatgpt|gpt|claude|copilot|gemini|cursor|assistant|ai assistant|ai agent|ai agents|ai model|chatbot)';
const SECRET_EN =
  '(?:api keys?|passwords?|credentials|private keys?|ssh keys?|id rsa|env file|environment variables|system prompt|(?:chat|conversation|message) history|(?:this|whole|entire|full|our) conversation|secrets|session cookies?|access tokens?)';

const SOURCES: readonly (readonly [WordKind, string])[] = [
  ['override', `(?:ignore|disregard|forget|discard|dismiss|neglect|drop|erase) (?:_ ){0,3}${WHEN_EN} (?:_ ){0,3}${WHAT_EN}`],
  [
    'override',
    `(?:ignore|disregard|forget) (?:_ ){0,2}${WHAT_EN} (?:_ ){0,2}(?:above|before|you (?:were|have been|got|received)|given (?:to you|before|above))`,
  ],
  [
    'override',
    '(?:ignore|disregard|forget) (?:everything|anything|all|whatever) (?:_ ){0,2}(?:above(?! except)|before this|earlier|previously|prior|you (?:were|have been|know|learned|ve))',
  ],
  [
    'override',
    '(?:override|bypass|circumvent|overrule|supersede) (?:_ ){0,2}(?:your|system|safety|previous|prior|all prior) (?:_ ){0,2}(?:instructions?|prompts?|guidelines?|programming|restrictions|filters?|safeguards|alignment)',
  ],
  [
    'override',
    `(?:do not|don t|never|stop|no longer|cease) (?:follow|obey|following|obeying|adhere to|comply with) (?:_ ){0,3}${WHEN_EN} (?:_ ){0,2}${WHAT_EN}`,
  ],
  [
    'override',
    `(?:these|this|the following|following|new) (?:_ ){0,2}(?:instructions?|directives?|message|prompt|orders?) (?:override|overrides|supersede|supersedes|replace|replaces|take precedence over|takes precedence over) (?:_ ){0,2}(?:all|any|previous|prior|your|system|other|earlier)`,
  ],
  [
    'override',
    `(?:your|you have) (?:a )?(?:new|real|actual|true|updated|only) (?:task|goal|objective|mission|instructions?|directive|purpose|assignment)s? (?:is|are|now|from)`,
  ],
  [
    'override',
    '(?:new|updated|revised) (?:system )?(?:instructions?|directives?) (?:from|by) (?:the |your )?(?:user|developers?|admin|administrator|system|anthropic|openai|operator|owner)',
  ],
  ['override', '(?:end|start|begin|beginning) of (?:system )?(?:prompt|instructions) (?:_ ){0,3}(?:new|real|actual|now|you|user)'],
  [
    'persona',
    '(?:you are|you re|youre) (?:now|no longer|from now on) (?:_ ){0,2}(?:dan|unrestricted|jailbroken|uncensored|unfiltered|evil|free|bound|restricted|limited|assistant|hacker|ai|chatbot|model|administrator|agent)',
  ],
  ['persona', '(?:act|behave|respond|answer) as (?:_ ){0,2}(?:dan|unrestricted|uncensored|jailbroken|unfiltered|evil|root administrator)'],
  [
    'persona',
    '(?:pretend|imagine|act as if|act as though) (?:that )?(?:you are|you re|you have|there are|you do not|you don t|you can) (?:_ ){0,3}(?:no|not|without|free|unrestricted|unfiltered|any|do anything)',
  ],
  ['persona', '(?:from now on|from this point on|henceforth|hereafter) (?:_ ){0,2}you (?:will|must|are|should|shall|only|obey|have|re)'],
  [
    'persona',
    '(?:(?:enter|activate|entering|you are in) (?:_ ){0,2}developer|(?:enter|enable|activate|switch to|entering|you are in) (?:_ ){0,2}(?:god|jailbreak|dan|unrestricted|admin override)) mode',
  ],
  ['persona', '(?:developer|god|jailbreak|dan|unrestricted) mode (?:is )?(?:now )?(?:enabled|activated|on|engaged)'],
  ['secrecy', `(?:do not|don t|dont|never|must not|should not|shall not|cannot) (?:tell|let|ever tell) ${USER_EN}`],
  [
    'secrecy',
    `(?:do not|don t|dont|never|must not|should not|without) (?:inform|mention|notify|alert|informing|notifying|alerting|telling|mentioning|reveal|revealing|disclose|disclosing|report|show|showing|discuss) (?:_ ){0,3}(?:this|that|these|it|about|any of this|anything)(?: _){0,3} (?:to |with )?${USER_EN}`,
  ],
  [
    'secrecy',
    `(?:do not|don t|dont|never|must not|should not) (?:inform|notify|alert|warn) ${USER_EN} (?:_ ){0,1}(?:about|of|that|what|this)`,
  ],
  [
    'secrecy',
    `(?:do not|don t|dont|never) (?:mention|reveal|disclose|acknowledge|discuss|refer to|repeat) (?:_ ){0,2}(?:this|these|that) (?:instructions?|message|prompt|note|comment|action|step|tool call|request|file|email)`,
  ],
  ['secrecy', `(?:hide|conceal|keep) (?:this|these|it|that)(?: _){0,3} (?:secret |hidden )?from ${USER_EN}`],
  [
    'secrecy',
    `${USER_EN} (?:must|should|does|do|need|may|can) not (?:_ ){0,2}(?:know|see this|see these|notice|be told|be informed|find out|learn)`,
  ],
  ['secrecy', `without ${USER_EN} (?:knowing|noticing|knowledge|s knowledge|seeing)`],
  [
    'disclosure',
    '(?:reveal|print|output|repeat|show|display|leak|dump|share|expose|recite|tell me|give me|send me|write out) (?:_ ){0,4}(?:your|the) (?:_ ){0,2}(?:system prompt|system message|hidden prompt|initial prompt|initial instructions|original instructions|hidden instructions|secret instructions)',
  ],
  [
    'disclosure',
    `(?:send|post|upload|forward|email|exfiltrate|transmit|leak|submit|append|encode|put|include|paste|copy) (?:_ ){0,5}${SECRET_EN} (?:_ ){0,5}(?:to|at|in|into|as) (?:_ ){0,3}(?:http|https|www|url|webhook|attacker|evil|external|query|parameter|image|following address|this address|me at|gmail|email|body)`,
  ],
  [
    'disclosure',
    `(?:read|open|cat|find|get|fetch|collect|gather|extract|retrieve|search for|look for|locate) (?:_ ){0,5}${SECRET_EN} (?:_ ){0,4}and (?:_ ){0,2}(?:send|post|upload|forward|email|pass|include|put|write|append|submit|transmit|paste|share|use|return)`,
  ],
  [
    'disclosure',
    '(?:before|when|whenever|each time|every time|prior to) (?:_ ){0,3}(?:using|calling|invoking|use|call|running) (?:_ ){0,4}(?:read|open|cat|fetch|access|load|send) (?:_ ){0,8}(?:ssh|id rsa|mcp json|env|credentials|passwd|aws|keychain|cookies|api keys?|private keys?|secrets)',
  ],
  [
    'disclosure',
    '(?:pass|include|provide|put|add|send|attach) (?:_ ){0,8}(?:content|contents|value|text|keys?|conversation|history) (?:_ ){0,5}(?:as|in|into|to|via) (?:_ ){0,3}(?:sidenote|side note|hidden|notes? parameter|context parameter|feedback parameter|metadata parameter)',
  ],
  [
    'steering',
    `(?:if|since|as|because|when) you (?:are|re) (?:an? |the )?(?:_ ){0,1}${MODEL_EN} (?:_ ){0,6}(?:must|please|should|ignore|include|respond|reply|reading|processing|summarizing|then|say|call|run|send|output|answer|do|recommend|add|write|also)`,
  ],
  [
    'steering',
    `(?:attention|notice|note|message|important|urgent|hey|dear|hello|memo|warning|instructions?|instruction note) (?:_ ){0,1}(?:to|for|all)? ?(?:all |any |the )?${MODEL_EN}s? (?:_ ){0,4}(?:must|please|should|ignore|include|respond|reply|reading|processing|summarizing|you|when|do|recommend|call|run|send|your)`,
  ],
  [
    'steering',
    `${MODEL_EN}s? (?:_ ){0,2}(?:reading|processing|summarizing|summarising|parsing|reviewing|analyzing|analysing|viewing|who reads|that reads|handling) (?:this|the|these|my) (?:_ ){0,4}(?:must|should|need|needs|are required|is required|please|shall|has to|have to|will)`,
  ],
  [
    'steering',
    '(?:you must|you should|please|immediately|now|first|instead|then|always) (?:_ ){0,3}(?:call|use|invoke|run|execute|trigger) the (?:_ ){1,3}(?:tool|function) (?:_ ){0,3}(?:with|to|and|on) (?:_ ){0,6}(?:delete|transfer|send|forward|upload|email|exfiltrate|wire|pay|grant|admin|attacker|evil|all files|password|secrets?)',
  ],
  ['steering', '(?:respond|reply|answer|output|say|write) (?:_ ){0,1}(?:only )?with (?:_ ){0,6}and (?:nothing else|do not|don t|ignore)'],
  [
    'steering',
    '(?:as|in) (?:an )?(?:authorized|authorised|official) (?:_ ){0,1}(?:request|instruction|message|override|notice) (?:from|by) (?:_ ){0,2}(?:system|admin|administrator|anthropic|openai|developer|developers|security team|user)',
  ],

  // German
  [
    'override',
    '(?:ignoriere|ignorieren sie|ignorier|vergiss|vergessen sie|missachte|missachten sie|verwirf|ubergehe|befolge nicht) (?:_ ){0,3}(?:vorherigen?|bisherigen?|vorigen?|obigen?|fruheren?|alle|deine|ihre|vorangegangenen?|ursprunglichen?|vorstehenden?|samtlichen?) (?:_ ){0,3}(?:anweisung|anweisungen|befehle|instruktionen|vorgaben|regeln|prompts?|eingaben|anordnungen|systemanweisungen)',
  ],
  [
    'persona',
    '(?:du bist|sie sind) (?:jetzt|nun|ab jetzt|ab sofort|von nun an|nicht mehr|nicht langer) (?:_ ){0,4}(?:assistent|ki|modell|administrator|bot|agent|hacker|uneingeschrankt|gebunden|frei|dan)',
  ],
  [
    'secrecy',
    '(?:sag|sage|sagen sie|verrate|verraten sie|erzahle|erzahlen sie|teile|teilen sie|erwahne|erwahnen sie|informiere|informieren sie) (?:_ ){0,4}(?:benutzer|nutzer|anwender|user|benutzerin|nutzerin) (?:_ ){0,4}(?:nichts|nicht|kein wort|niemals)',
  ],
  [
    'secrecy',
    '(?:sag|sage|sagen sie|verrate|erwahne|erwahnen sie) (?:_ ){0,3}(?:nicht|nichts|niemals) (?:_ ){0,3}(?:benutzer|nutzer|anwender|user)',
  ],
  // French
  [
    'override',
    '(?:ignore|ignorez|ignorer|oublie|oubliez|neglige|negligez|ne tiens? (?:pas|plus) compte|ne tenez (?:pas|plus) compte|fais abstraction|faites abstraction|ne suis plus|ne suivez plus) (?:_ ){0,5}(?:instructions?|consignes?|directives?|regles|ordres) (?:_ ){0,2}(?:precedentes?|precedents|anterieures?|ci dessus|initiales?|donnees|recues|d origine|du systeme)',
  ],
  [
    'persona',
    '(?:tu es|vous etes) (?:maintenant|desormais|dorenavant) (?:_ ){0,4}(?:assistant|ia|modele|agent|bot|hacker|dan|libre|restriction|administrateur)',
  ],
  [
    'secrecy',
    '(?:ne|n) (?:_ ){0,2}(?:dis|dites|mentionne|mentionnez|revele|revelez|parle|parlez|informe|informez|previens|prevenez|avertis) (?:_ ){0,6}(?:l )?utilisat(?:eur|rice)',
  ],
  ['secrecy', 'sans (?:_ ){0,2}(?:dire|informer|prevenir|avertir|mentionner)(?: _){0,3} (?:a )?(?:l )?utilisateur'],
  // Spanish
  [
    'override',
    '(?:ignora|ignore|ignorad|ignorar|olvida|olvide|olvidar|descarta|descarte|haz caso omiso de|haga caso omiso de|no sigas|no siga) (?:_ ){0,3}(?:instruccion|instrucciones|indicaciones|ordenes|reglas|directrices) (?:_ ){0,2}(?:anteriores|anterior|previas|previos|precedentes|iniciales|originales|del sistema|dadas|recibidas)',
  ],
  [
    'persona',
    '(?:eres|usted es) (?:ahora|desde ahora|a partir de ahora) (?:_ ){0,4}(?:asistente|ia|modelo|agente|bot|hacker|dan|libre|restricciones|administrador)|(?:ahora eres|a partir de ahora (?:eres|debes|seras)|ahora usted es) (?:_ ){0,4}(?:asistente|ia|modelo|agente|bot|hacker|dan|obedecer|administrador|sin)',
  ],
  [
    'secrecy',
    'no (?:_ ){0,2}(?:digas|diga|informes|informe|menciones|mencione|cuentes|cuente|reveles|revele|avises|avise) (?:_ ){0,5}(?:al |a la )?usuari[oa]',
  ],
  // Italian, Portuguese
  [
    'override',
    '(?:ignora|ignorate|ignori|dimentica|dimenticate) (?:_ ){0,3}(?:istruzioni|indicazioni|direttive|regole|comandi) (?:_ ){0,2}(?:precedenti|sopra|iniziali|ricevute)|(?:ignora|ignorate|dimentica) (?:_ ){0,2}precedenti (?:_ ){0,1}(?:istruzioni|indicazioni|direttive)',
  ],
  ['secrecy', 'non (?:dire|dirlo|informare|menzionare|rivelare|avvisare)(?: _){0,5} utente'],
  [
    'override',
    '(?:ignore|ignora|esqueca|desconsidere|desconsidera) (?:_ ){0,3}(?:instrucoes|orientacoes|comandos|regras|diretrizes) (?:_ ){0,2}(?:anteriores|previas|iniciais|acima|recebidas)',
  ],
  ['secrecy', 'nao (?:_ ){0,1}(?:diga|conte|informe|mencione|revele|avise)(?: _){0,5} usuari[oa]'],
  // Russian
  [
    'override',
    '(?:игнорируй|игнорируйте|забудь|забудьте|проигнорируй|проигнорируйте|не следуй) (?:_ ){0,3}(?:предыдущие|предыдущих|прежние|все|прошлые|предшествующие|вышеуказанные|данные ранее) (?:_ ){0,3}(?:инструкции|инструкций|указания|команды|правила|подсказки|директивы)',
  ],
  ['secrecy', 'не (?:говори|говорите|сообщай|сообщайте|рассказывай|рассказывайте|упоминай|упоминайте)(?: _){0,4} пользовател(?:ю|ем|я)'],
  // Chinese, Japanese, Korean: no spaces between words
  [
    'override',
    '(?:忽略|无视|忘记|忘掉|不要理会|不用理会|無視|忽視|不要遵循|不再遵循|忘記|抛弃).{0,8}?(?:之前|以上|先前|前面|上述|上面|所有|一切|此前|原来|系统|原有|全部|你的).{0,8}?(?:指令|指示|提示|命令|说明|规则|要求|指引|設定|设定|规定|規則)',
  ],
  [
    'secrecy',
    '(?:不要|别|不得|切勿|禁止|千万别|不能|請勿|请勿).{0,4}?(?:告诉|告知|通知|透露给|提及给|告訴|让|讓|向).{0,4}?(?:用户|使用者|用戶|人类|使用人)',
  ],
  [
    'persona',
    '(?:你现在|从现在起你|从现在开始你|現在開始你|你現在)(?:是|就是|必须|要扮演|扮演|将).{0,16}?(?:助手|模型|管理员|黑客|代理|模式|服从|限制|人工智能)',
  ],
  [
    'override',
    '(?:以前|これまて|上記|前|すへて|今まて|先ほと)(?:の)?.{0,8}?(?:指示|命令|フロンフト|ルール|設定).{0,8}?(?:無視|忘れ|従わな)',
  ],
  ['secrecy', '(?:ユーサー|利用者|使用者)に.{0,8}?(?:言わな|伝えな|知らせな|教えな|話さな|報告しな)'],
  ['override', '(?:이전|위의|앞의|기존|모든).{0,8}?(?:지시|명령|지침|프롬프트|규칙).{0,6}?(?:무시|잊)'],
];

const NOT_ASCII = /[^\u0000-\u007f]/;
const SPACELESS = /[\u3040-\u30ff\u4e00-\u9fff\u1100-\u11ff]/;

/** A word of what was folded. */
const WORD = '[^ ]{1,40}';

/** Patterns as they are compared: folded like the text, so that `ー` and `é` are written as a reader would. */
export const WORD_PATTERNS: readonly WordPattern[] = SOURCES.map(([kind, source]) => {
  const folded = NOT_ASCII.test(source) ? source.normalize('NFKD').replaceAll(/\p{M}+/gu, '') : source;
  const words = folded.replaceAll(/(?<![a-z0-9])_(?![a-z0-9])/g, WORD);
  if (SPACELESS.test(folded)) return { kind, needs: [], pattern: new RegExp(words) };
  return { kind, needs: neededWords(folded), pattern: new RegExp(`(?:^| )(?:${words})(?= |$)`) };
});

export interface WordPattern {
  readonly kind: WordKind;
  /** Of each list one word stands in every text the pattern matches. */
  readonly needs: readonly (readonly string[])[];
  readonly pattern: RegExp;
}

/** From the groups of a pattern that are neither optional nor inside another and hold plain words only. */
function neededWords(source: string): readonly (readonly string[])[] {
  if (/^[^(]*\|/.test(source.replaceAll(/\((?:[^()]|\([^()]*\))*\)/g, ''))) return [];
  const needs: string[][] = [];
  for (const [, group = '', after = ''] of source.matchAll(/\(\?:((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)(\?|\{0,)?/g)) {
    if (after !== '') continue;
    const words = group.split('|').map((alternative) => plainWord(alternative));
    if (words.every((word) => word !== undefined)) needs.push(words.flat());
  }
  return needs;
}

/** The longest word of an alternative, with and without an optional last letter; undefined when it is no plain text. */
function plainWord(alternative: string): readonly string[] | undefined {
  const words = alternative.trim().split(' ');
  if (!words.every((word) => /^[\p{L}\p{N}]+\??$/u.test(word))) return undefined;
  const longest = words.toSorted((one, other) => other.length - one.length)[0] ?? '';
  return longest.endsWith('?') ? [longest.slice(0, -2), longest.slice(0, -1)] : [longest];
}

/** What an order to a reader looks like, inside something that no reader is shown. */
export const HIDDEN_ORDER: RegExp =
  /(?:^| )(?:ai|llm|llms|language model|chatgpt|gpt|claude|copilot|gemini|assistant|agent|agents|chatbot|system prompt|instructions?) (?:[^ ]{1,40} ){0,10}(?:must|should|please|ignore|send|include|run|execute|call|reply|respond|say|add|tell|forward|recommend|follow|do not|don t|output)(?= |$)/;
