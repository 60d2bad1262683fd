import { EventEmitter, once } from 'node:events';
import type { ApprovalRequest } from '@countersign/core';
import { describe, expect, it } from 'vitest';
import { approvalLink, pageChannel } from '../../src/approvals/page-channel.ts';
import { ledger } from './site.ts';

const request: ApprovalRequest = {
  id: '3f9a1c3f9a1c3f9a1c3f9a1c3f9a1c3f',
  callId: 'c',
  agent: 'bot',
  session: 's',
  tool: { name: 'refund' },
  args: {},
  expiresAtMs: 1,
};

function ask(channel: ReturnType<typeof pageChannel>): Promise<void> {
  const answer = (): Promise<void> => Promise.reject(new Error('this channel only tells'));
  return channel.ask(request, answer, new AbortController().signal);
}

describe('pageChannel', () => {
  it.each(['http://127.0.0.1:4680', 'http://127.0.0.1:4680/', 'https://approvals.example'])(
    'tells where an approval is answered: %s',
    async (url) => {
      const told: unknown[] = [];
      await ask(pageChannel({ url, notify: (link, { id }) => void told.push([link, id]) }));
      expect(told).toEqual([[`${url.replace(/\/$/, '')}/approvals/${request.id}`, request.id]]);
    },
  );

  it('fails when nobody could be told', async () => {
    const failing = pageChannel({ url: 'http://127.0.0.1:4680', notify: () => Promise.reject(new Error('no mail')) });
    await expect(ask(failing)).rejects.toThrow('no mail');
  });

  it.each([
    '',
    'nothing',
    'ftp://127.0.0.1',
    'http://approvals.example',
    'https://user:secret@approvals.example',
    'https://approvals.example/?token=x',
  ])('leads to no %j', (url) => {
    expect(() => pageChannel({ url, notify: () => {} })).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }));
  });

  it('is told of a call that waits', async () => {
    const told = new EventEmitter();
    const first = once(told, 'link');
    const given = ledger({ channels: [pageChannel({ url: 'http://127.0.0.1:4680', notify: (link) => void told.emit('link', link) })] });
    const id = await given.ask();
    expect(await first).toEqual([approvalLink('http://127.0.0.1:4680', id)]);
  });
});
