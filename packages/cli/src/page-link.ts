/** The channel `page` of a configuration: where `countersign console` answers, told by whoever asks. */
import { approvalLink, pageChannel } from '@countersign/connect';
import type { Channel, Config } from '@countersign/core';
import { type Output, safe } from './output.ts';

const LOOPBACK_URL = 'http://127.0.0.1';

/** Where one approval is answered; undefined when the configuration names no page. */
export function pageLinks({ approvals }: Config): ((approvalId: string) => string) | undefined {
  if (!approvals.channels.includes('page')) return undefined;
  return (id) => approvalLink(`${LOOPBACK_URL}:${approvals.page.port}`, id);
}

/** Tells the person at this process, on standard error. */
export function pageChannelOf(config: Config, output: Output): Channel | undefined {
  if (pageLinks(config) === undefined) return undefined;
  return pageChannel({
    url: `${LOOPBACK_URL}:${config.approvals.page.port}`,
    notify: (link, { agent, tool }) => {
      const name = tool.server === undefined ? tool.name : `${tool.server}/${tool.name}`;
      output.note(`countersign: ${safe(name)} waits for an answer: ${link} (asked by ${safe(agent)}; countersign console)`);
    },
  });
}
