/** The channel `page`: tells where to answer. The page itself runs in another process, `countersign console`. */
import type { ApprovalRequest, Channel } from '@countersign/core';
import { absoluteUrl } from '../http/url.ts';

export interface PageChannelOptions {
  /** Of the page: `http://127.0.0.1:4680`. */
  readonly url: string;
  /** Told of every approval that waits, with the address where it is answered: for a log, or a message of your own. */
  readonly notify: (link: string, request: ApprovalRequest) => void | Promise<void>;
}

/** @throws {CountersignError} `OPTIONS_INVALID` */
export function pageChannel({ url, notify }: PageChannelOptions): Channel {
  const base = absoluteUrl(url, false).href.replace(/\/+$/, '');
  return {
    name: 'page',
    ask: async (request) => {
      await notify(approvalLink(base, request.id), request);
    },
  };
}

/** Where one approval is answered. Nothing secret is in it: it shows nothing without a login. */
export function approvalLink(page: string, id: string): string {
  return `${page}/approvals/${encodeURIComponent(id)}`;
}
