/** The configuration a newcomer starts from: valid as it stands, watching only, with rules to change. */

/** @param agent - goes into the text as JSON, which YAML reads as a string whatever it holds. */
export function starterConfig(agent: string): string {
  return `# Countersign. All keys: docs/config.md. Check this file with: countersign doctor
version: 1
agent: ${JSON.stringify(agent)}

# audit:   every call runs; the ledger says what the rules would have done
# confirm: what no rule matches asks a person
# enforce: what no rule allows does not run
mode: audit

policy:
  # Rules that are ready; what is in them: countersign policy packs baseline
  packs: [baseline]
  # Rules of your own. With them, or with another mode, what no rule allows is denied.
  # id: starter
  # version: "1"
  # default: deny                # what no rule matches
  # rules:
  #   # Patterns are server/name. The server is the name you give it: countersign proxy --server files -- ...
  #   - { id: read-only,  tools: ["*/read_*", "*/list_*", "*/get_*", "*/search_*"], effect: allow }
  #   - { id: writes-ask, tools: ["write_*", "edit_*", "send_*"], effect: require_approval, reason: changes something }
  #   - { id: no-deletes, tools: ["delete_*", "drop_*"], effect: deny, reason: deletes are done by people }
  #   # Conditions look at the arguments:
  #   - { id: small-refund, tools: ["shop/refund"], when: "args.amount <= 50", effect: allow }

budgets:
  - { id: calls, per: agent, limit: 1000, window: 1h }

approvals:
  ttl: 5m                        # how long a call waits for an answer

# Who may answer with a key: countersign keygen --out finance.key, then
# approvers:
#   finance: { key: "finance+1a2b3c4d+..." }

ledger:
  path: .countersign/ledger.db
  key: .countersign/ledger.key
  origin: ${JSON.stringify(`countersign.local/${agent}`)}
`;
}
