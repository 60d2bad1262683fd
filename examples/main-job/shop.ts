/** What both agents are asked to do, and the tools they do it with. */
import { appendFileSync } from 'node:fs';

export const ORDER = { item: 'tea', pieces: 40 } as const;

/** Where an agent stopped, as its process tells it. */
export interface Stop {
  /** As every entry of the ledger names it. */
  readonly agent: string;
  /** What its tools told the model. */
  readonly told: readonly string[];
  /** Of the approval it waits for. */
  readonly approvalId?: string;
}

export interface ShopAgent {
  /** The model looks at a price, tries a discount and orders. */
  start(): Promise<Stop>;
  /** The framework's own way to go on. */
  resume(): Promise<Stop>;
}

/** @param orders - a file with one line per order: the shop. */
export function shopTools(agent: string, orders: string) {
  return {
    price: ({ item }: { readonly item: string }) => `${item} costs 7`,
    discount: ({ item }: { readonly item: string }) => `${item} costs 1 now`,
    order: ({ item, pieces }: { readonly item: string; readonly pieces: number }) => {
      appendFileSync(orders, `${agent}: ${pieces} ${item}\n`);
      return `ordered ${pieces} ${item}`;
    },
  };
}
