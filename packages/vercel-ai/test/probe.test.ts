import { generateText, tool, stepCountIs } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { z } from 'zod';
import { it } from 'vitest';
const usage = { inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 1, text: 1, reasoning: 0 } };
it('probe', async () => {
  const model = new MockLanguageModelV4({ doGenerate: [
    { content: [{ type: 'tool-call', toolCallId: 'c0', toolName: 'free', input: '{}' }], finishReason: { unified: 'tool-calls', raw: 'x' }, usage, warnings: [] },
    { content: [{ type: 'tool-call', toolCallId: 'c1', toolName: 'pay', input: '{"amount":"2"}' }], finishReason: { unified: 'tool-calls', raw: 'x' }, usage, warnings: [] },
    { content: [{ type: 'text', text: 'done' }], finishReason: { unified: 'stop', raw: 'x' }, usage, warnings: [] },
  ] });
  const log: unknown[] = [];
  const tools = { free: tool({ inputSchema: z.object({}), execute: () => 'ok' }), pay: tool({ inputSchema: z.object({ amount: z.coerce.number() }), execute: (i, o) => { log.push(['execute', i, o.messages.length, o.toolCallId, Object.keys(o)]); return 'paid'; } }) };
  const toolApproval = (o: any) => { log.push(['approval', o.toolCall.toolName, o.toolCall.input, o.messages.length, Object.keys(o.toolCall)]); return o.toolCall.toolName === 'pay' ? { type: 'user-approval', reason: 'r' } as const : undefined; };
  const messages: any[] = [{ role: 'user', content: 'go' }];
  const r1 = await generateText({ model, tools, messages, toolApproval, stopWhen: stepCountIs(5) });
  const req = r1.content.find((p) => p.type === 'tool-approval-request') as any;
  const next = JSON.parse(JSON.stringify([...messages, ...r1.responseMessages, { role: 'tool', content: [{ type: 'tool-approval-response', approvalId: req.approvalId, approved: true }] }]));
  console.log(JSON.stringify(next));
  const r2 = await generateText({ model, tools, messages: next, toolApproval, stopWhen: stepCountIs(5) });
  for (const l of log) console.log(JSON.stringify(l));
  console.log(JSON.stringify(r2.responseMessages), JSON.stringify(Object.keys(req)));
});
