/**
 * Stands for an OPA client: the same shape, and the decisions of this Rego.
 *
 *     package agent.call
 *     default decision := {"decision": "allow"}
 *     decision := {"decision": "deny", "reason": "pushes require human review"} if {
 *       input.tool.name == "git"
 *       input.args.args[0] == "push"
 *     }
 *     decision := {"decision": "requires-approval", "reason": "deploys need a person"} if input.tool.name == "deploy"
 */
export interface OpaDecision {
  readonly decision: 'allow' | 'deny' | 'requires-approval';
  readonly reason?: string;
}

export const opa = {
  async evaluate(path: string, input: { readonly tool: { readonly name: string }; readonly args: unknown }): Promise<OpaDecision> {
    if (path !== 'agent/call/decision') throw new Error(`no rule at ${path}`);
    const { tool, args } = input;
    const [first] = (args as { readonly args?: readonly unknown[] }).args ?? [];
    if (tool.name === 'git' && first === 'push') return { decision: 'deny', reason: 'pushes require human review' };
    if (tool.name === 'deploy') return { decision: 'requires-approval', reason: 'deploys need a person' };
    return { decision: 'allow' };
  },
};
