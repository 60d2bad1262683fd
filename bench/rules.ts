/** Rules of one tool as the benches use them: each with a condition on the arguments of `calls.ts`, which the last two allow. */
export const RULES = [
  { effect: 'deny', when: "args.limit > 1000 && args.filter.currency == 'USD'" },
  { effect: 'deny', when: "args.path.startsWith('/etc/')" },
  { effect: 'require_approval', when: "args.filter.minimum < 50.0 || 'password' in args.columns" },
  { effect: 'allow', when: "args.limit <= 500 && args.path.startsWith('/srv/reports/')" },
  { effect: 'allow', when: "args.filter.currency in ['EUR', 'USD'] && args.filter.open" },
] as const;
