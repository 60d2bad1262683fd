/** Keys of services that run models. */
import { type Detector, isVaried, outside, runEnd, startsWord } from '../detector.ts';
import { runToken, shapedToken, VARIED } from './shapes.ts';

/**
 * `sk-...` of OpenAI and of the many who copied it. The prefix alone says little (`sk-fading-circle` is a CSS class), so one
 * part of the run must be long and mixed. Each demand stays true when text is added.
 */
const API_KEY: Detector = {
  kind: 'api-key',
  triggers: ['sk-'],
  look(text, at) {
    if (!startsWord(text, at)) return undefined;
    const end = runEnd(KEY_STOP, text, at + 3);
    if (end - at < 19) return undefined;
    return { start: at, end, secret: isMixed(text.slice(at + 3, end)) };
  },
};
const KEY_STOP = outside('A-Za-z0-9_-');

/** Without a prefix of its own, but every key of OpenAI has "OpenAI" in base64 in its middle. */
const MARKED_KEY: Detector = {
  kind: 'openai-key',
  triggers: ['sk-'],
  look(text, at) {
    const end = runEnd(KEY_STOP, text, at + 3);
    if (end - at < 28) return undefined;
    return { start: at, end, secret: text.slice(at + 3, end).includes('T3BlbkFJ') };
  },
};

export const AI_SERVICES: readonly Detector[] = [
  runToken('anthropic-key', ['sk-ant-'], 'A-Za-z0-9_-', 24),
  runToken('openai-key', ['sk-proj-', 'sk-svcacct-', 'sk-admin-', 'sk-service-'], 'A-Za-z0-9_-', 24),
  runToken('openrouter-key', ['sk-or-v1-'], 'A-Za-z0-9', 32),
  MARKED_KEY,
  API_KEY,
  // Thirty-four letters or digits; as short a prefix may end any base64 word, so it must start one.
  runToken('huggingface-token', ['hf_', 'api_org_'], 'A-Za-z0-9', 34, 'word'),
  runToken('groq-key', ['gsk_'], 'A-Za-z0-9', 48),
  runToken('xai-key', ['xai-'], 'A-Za-z0-9_', 60),
  runToken('perplexity-key', ['pplx-'], 'A-Za-z0-9', 40),
  runToken('replicate-token', ['r8_'], 'A-Za-z0-9', 37, 'word'),
  runToken('nvidia-key', ['nvapi-'], 'A-Za-z0-9_-', 40),
  shapedToken('langsmith-key', ['lsv2_pt_', 'lsv2_sk_'], /[0-9a-f]{32}_[0-9a-f]{10}/y),
];

function isMixed(run: string): boolean {
  if (!/[A-Za-z0-9]{16}/.test(run) || !isVaried(run, 0, run.length, VARIED)) return false;
  return count(run, /\d/g, 3) || (count(run, /\d/g, 1) && count(run, /[A-Z]/g, 2)) || (count(run, /[A-Z]/g, 8) && count(run, /[a-z]/g, 8));
}

function count(run: string, pattern: RegExp, wanted: number): boolean {
  pattern.lastIndex = 0;
  for (let seen = 0; seen < wanted; seen++) if (!pattern.test(run)) return false;
  return true;
}
