/**
 * Calls of one session take turns once they get in each other's way.
 *
 * A decision that counts calls of its session is stale as soon as another call of it was allowed. Sixty-four calls at once
 * would be decided sixty-four times, and most of them give up on the way. So a call that was stale once is decided again
 * when those before it are through, and while any waits, new ones that count queue behind them.
 */
export interface Turn {
  /** Lets the next one in. May be called more than once. */
  end(): void;
}

export class SessionTurns {
  /** By session, the end of its queue. */
  private readonly queues = new Map<string, Promise<void>>();

  isTaken(session: string): boolean {
    return this.queues.has(session);
  }

  /** Resolves when everybody before has ended. Whoever has a turn must not wait for another turn, nor for a person. */
  async take(session: string): Promise<Turn> {
    const before = this.queues.get(session);
    let open = (): void => {};
    const mine = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.queues.set(session, mine);
    await before;
    return {
      end: () => {
        open();
        if (this.queues.get(session) === mine) this.queues.delete(session);
      },
    };
  }
}
