/** What a freezer needs of the supervisor that every trapped call of a tree waits for. */
export interface Gate {
  /** There is somebody who answers. False: every trapped call fails, from now on and for ever. */
  readonly isTended: boolean;
  /**
   * No trapped call is answered from now on.
   *
   * @returns once that is so for certain. False: nobody answers any more, and every trapped call fails.
   */
  shutGate(): Promise<boolean>;
  openGate(): void;
  /**
   * This thread waits in a call that was received, and is not answered yet: no signal but the last one takes it out of that.
   *
   * @param start - of its process
   */
  holds(thread: number, start: number): boolean;
}
