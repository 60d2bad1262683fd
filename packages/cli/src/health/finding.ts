/** What one check of `doctor` found. */
export interface Finding {
  readonly name: string;
  readonly status: 'ok' | 'warn' | 'fail';
  /** May hold paths and text from files. */
  readonly message: string;
  readonly next?: string;
}

export type Verdict = Omit<Finding, 'name'>;
