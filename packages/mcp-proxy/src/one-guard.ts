import type { ProxyGuard } from './guard-source.ts';

/** One guard for all who need it: opened once, by whoever comes first, and again after a failure. */
export function oneGuard(open: () => Promise<ProxyGuard>): () => Promise<ProxyGuard> {
  let opening: Promise<ProxyGuard> | undefined;
  return async () => {
    const mine = (opening ??= Promise.resolve().then(open));
    try {
      return await mine;
    } catch (error) {
      if (opening === mine) opening = undefined;
      throw error;
    }
  };
}
