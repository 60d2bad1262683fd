/** The page on a port of its own, with whatever else answers there. */
import { type Route, routed } from '../http/routes.ts';
import { serve } from '../http/serve.ts';
import { approvalPage } from './page.ts';
import type { ApprovalPageOptions } from './page-options.ts';

/** Arguments that are edited come back in a form, spelled with up to three characters for one. */
const MAX_FORM_BYTES = 4_194_304;

export interface ServedPageOptions extends Omit<ApprovalPageOptions, 'origin'> {
  /** 0 takes any free port. */
  readonly port: number;
  /** Signed requests of others (webhooks, Slack) on the same port. They are not behind the login. */
  readonly routes?: readonly Route[];
}

export interface ServedPage {
  readonly port: number;
  /** Of the page, without a slash at its end. */
  readonly url: string;
  /** Logs one browser in, once, within five minutes. Earlier links are worth nothing from here on. */
  newLink(): string;
  close(): Promise<void>;
}

/** @throws the system's own error when the port cannot be had (`EADDRINUSE`); {CountersignError} `OPTIONS_INVALID` */
export async function serveApprovalPage(options: ServedPageOptions): Promise<ServedPage> {
  const { port, routes = [], onError } = options;
  let origin = '';
  const page = approvalPage({ ...options, origin: () => origin });
  const server = await serve({
    port,
    handler: routed(routes, page.handler),
    maxBodyBytes: MAX_FORM_BYTES,
    ...(onError !== undefined && { onError }),
  });
  origin = server.url;
  return { port: server.port, url: origin, newLink: () => page.newLink(), close: () => server.close() };
}
