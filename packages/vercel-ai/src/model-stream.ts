/** A stream of parts seen on its way: read only when its reader asks, cancelled when its reader leaves. */
import type { StreamPart } from './model-types.ts';

export interface PartHandlers {
  /** What is passed on in place of one part. */
  next(part: StreamPart): Promise<readonly StreamPart[]>;
  /** What is passed on at the end. */
  end(): Promise<readonly StreamPart[]>;
  /** The stream broke off, or its reader left. */
  brokeOff(): Promise<void>;
}

export function seen(stream: ReadableStream<StreamPart>, handlers: PartHandlers): ReadableStream<StreamPart> {
  const reader = stream.getReader();
  return new ReadableStream<StreamPart>(
    {
      async pull(controller) {
        // A reader that asked gets something: an empty answer would not be asked for again.
        for (;;) {
          let step: Awaited<ReturnType<typeof reader.read>>;
          try {
            step = await reader.read();
          } catch (error) {
            await handlers.brokeOff();
            throw error;
          }
          const parts = step.done ? await handlers.end() : await handlers.next(step.value);
          for (const part of parts) controller.enqueue(part);
          if (step.done) return controller.close();
          if (parts.length > 0) return;
        }
      },
      async cancel(reason) {
        try {
          await reader.cancel(reason);
        } finally {
          await handlers.brokeOff();
        }
      },
    },
    { highWaterMark: 0 },
  );
}
