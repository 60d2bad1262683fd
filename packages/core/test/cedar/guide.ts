/** The example of `docs/guides/policies.md`. */
import { cedarPolicy } from '@countersign/core/cedar';

export const refunds = cedarPolicy({
  id: 'refunds',
  policies: `
    @id("small")
    permit (principal, action, resource == Tool::"refund") when { context.args.amount <= 500 };

    @id("big") @effect("require_approval") @approvers("finance") @ttl("5m") @reason("over 500")
    permit (principal, action, resource == Tool::"refund") when { context.args.amount > 500 };

    @id("no-secrets")
    forbid (principal, action, resource) unless { context.findings.isEmpty() };
  `,
});
