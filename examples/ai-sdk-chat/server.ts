/** The whole server: page, sign-in, chat, approvals. Listens on this machine only. */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Clock } from '@countersign/core';
import { createAdaptorServer } from '@hono/node-server';
import type { LanguageModel } from 'ai';
import { Hono } from 'hono';
import { approvalsRoute } from './approvals-route.ts';
import { chatRoute } from './chat-route.ts';
import { pageFiles } from './page-files.ts';
import { scriptedModel } from './scripted-model.ts';
import { openShop, type Shop } from './shop.ts';
import { cookieKey, fromOwnPage, onOwnHost, signIn } from './sign-in.ts';

export interface ChatServerOptions {
  /** Where ledger, payments and the key of the cookies are. */
  readonly folder: string;
  /** Names and passwords. */
  readonly users: ReadonlyMap<string, string>;
  /** Default: any free one. */
  readonly port?: number;
  readonly model?: LanguageModel;
  readonly clock?: Clock;
}

export interface ChatServer {
  readonly url: string;
  readonly shop: Shop;
  close(): Promise<void>;
}

/** @throws what listening throws, such as `EADDRINUSE` */
export async function startChatServer(options: ChatServerOptions): Promise<ChatServer> {
  const { folder, users, port = 0, clock } = options;
  // A real model stands here: `options.model ?? anthropic('...')`. Nothing else changes.
  const model = options.model ?? scriptedModel();
  const files = await pageFiles();
  const shop = openShop(folder, clock);
  const { routes, required } = signIn(users, cookieKey(join(folder, 'cookie.key')));
  const app = new Hono()
    .use(onOwnHost, fromOwnPage)
    .route('/api', routes)
    .use('/api/*', required)
    .route('/api/chat', chatRoute(shop.guard, shop.tools, model))
    .route('/api/approvals', approvalsRoute(shop.guard))
    .route('/', files);
  const server = createAdaptorServer({ fetch: app.fetch });
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    await shop.close();
    throw error;
  }
  const address = server.address();
  const listening = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://127.0.0.1:${listening}`,
    shop,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      if ('closeAllConnections' in server) server.closeAllConnections();
      await closed;
      await shop.close();
    },
  };
}
