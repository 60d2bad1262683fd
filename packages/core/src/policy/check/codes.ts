/** What `policy check` can find, as stable codes. A code names what is odd about a policy, and is never reused. */
export const POLICY_CODES = {
  // The file does not load
  POLICY_INVALID: 'The file is not a policy or a configuration, or a rule of it does not compile.',
  // Rules against rules
  RULE_DUPLICATE: 'Two rules say the same.',
  RULE_SHADOWED: 'A stricter rule without conditions matches every tool this rule matches, so it never decides.',
  RULE_REDUNDANT: 'Another rule with the same effect applies whenever this one does, and this one adds nothing.',
  // Conditions
  RULE_NEVER_APPLIES: 'The conditions of the rule can never be met.',
  CONDITION_CONSTANT: 'A condition has the same answer for every call.',
  ANNOTATION_TRUSTED: 'A rule lets calls through because the author of the tool says that it is harmless.',
  ARGUMENT_UNGUARDED: 'A condition reads an argument that may be absent, without has().',
  ARGUMENT_UNKNOWN: 'A condition reads an argument that no matching tool declares.',
  ARGUMENT_REDACTED: 'A condition compares an argument whose value the redactor replaces.',
  RAW_READ: 'A rule reads raw arguments, which no ledger keeps: its decisions cannot be replayed.',
  // Names
  PATTERN_MATCHES_NOTHING: 'A tool pattern matches none of the known tools.',
  RULE_MATCHES_NOTHING: 'No pattern of the rule matches a known tool.',
  APPROVER_UNKNOWN: 'A rule names an approver that the configuration does not know.',
  // The policy as a whole
  DEFAULT_ALLOWS: 'What no rule matches is allowed.',
  NO_RULES: 'The policy has no rules, so its default decides every call.',
} as const;
export type PolicyCode = keyof typeof POLICY_CODES;

/** `error`: the policy does not load. `warning`: it loads, and probably does not mean this. `hint`: worth a look. */
export type PolicySeverity = 'error' | 'warning' | 'hint';

export interface PolicyFinding {
  readonly code: PolicyCode;
  readonly severity: PolicySeverity;
  /** For people; names the thing and what to do. Holds texts of the file: escape it for the medium. */
  readonly message: string;
  readonly rule?: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}
