/** How a check says what came out, the same in every command. */
import type { Output } from './output.ts';

export type Verdict = 'valid' | 'invalid' | 'unproven' | 'unreadable';

/** The first word of an answer. */
export function verdictWord(status: Verdict, output: Output): string {
  switch (status) {
    case 'valid':
      return output.style('good', 'VALID');
    case 'invalid':
      return output.style('bad', 'INVALID');
    case 'unproven':
      return output.style('warn', 'NOT PROVEN');
    case 'unreadable':
      return output.style('bad', 'UNREADABLE');
  }
}

/** What each single thing came to, equally wide. */
export interface ProofWords {
  readonly yes: string;
  readonly no: string;
  readonly bad: string;
}

export function proofWords(output: Output): ProofWords {
  return {
    yes: output.style('good', 'PROVEN    '),
    no: output.style('warn', 'NOT PROVEN'),
    bad: output.style('bad', 'FAILED    '),
  };
}
