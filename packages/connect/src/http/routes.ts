/** Several handlers behind one port. */
import type { Handler } from './serve.ts';

export interface Route {
  /** A whole path (`/slack/interactions`), or with a slash at its end everything below it (`/webhooks/`). */
  readonly path: string;
  readonly handler: Handler;
}

/**
 * The first route that fits answers, else `otherwise`. Paths reach a handler only as they will be read: `/webhooks/../x`
 * was refused before.
 */
export function routed(routes: readonly Route[], otherwise: Handler): Handler {
  return (request, peer) => {
    const { pathname } = new URL(request.url);
    const route = routes.find(({ path }) => (path.endsWith('/') ? pathname.startsWith(path) : pathname === path));
    return (route?.handler ?? otherwise)(request, peer);
  };
}
