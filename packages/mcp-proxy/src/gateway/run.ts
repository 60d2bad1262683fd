import { logTo } from '../log.ts';
import { oneGuard } from '../one-guard.ts';
import { clientOverlong, FORWARDED_SIGNALS, flushed, HALF_CLOSE_MS, pump, type StdioClientOptions } from '../stdio.ts';
import { assembleGateway, type GatewayParts } from './assemble.ts';

/** What a client over stdio is given, as before a single server. The guard is the one of all servers. */
export interface StdioGatewayOptions
  extends Omit<StdioClientOptions, 'server'>,
    Pick<GatewayParts, 'servers' | 'version' | 'onServer' | 'greetingWaitMs' | 'listWaitMs'> {}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Runs several MCP servers behind the guard as one server on this process' standard streams, until the client is gone.
 *
 * No server is started before the client speaks. All of them, and what they started, are ended with this process; when it is
 * killed outright they see the end of their input.
 *
 * @returns the exit code to end with: 0, or 128 + n after signal n.
 */
export async function runStdioGateway(options: StdioGatewayOptions): Promise<number> {
  const { stdin, stdout, stderr } = options;
  const log = logTo(stderr);
  const gateway = assembleGateway(
    { ...options, guard: oneGuard(options.guard), log },
    { toClient: (bytes) => void stdout.write(bytes), stdout },
  );
  const asked = told(options);
  // No server holds up what is for another: what one does not read waits in its own pipe, and has its own limit.
  const client = pump(stdin, [stdout], (line) => gateway.fromClient(line), clientOverlong(log)).then(() => {
    gateway.clientSilent();
    return Promise.race([gateway.idle(), after(options.halfCloseMs ?? HALF_CLOSE_MS)]);
  });
  const code = await Promise.race([client.then(() => 0), asked.code]);
  await gateway.close();
  asked.release();
  stdin.pause();
  await flushed(stdout);
  return code;
}

/** Resolves when this process is told to end, or nobody reads what it says. */
function told({ stdout, stderr, signals = process }: StdioGatewayOptions): {
  readonly code: Promise<number>;
  readonly release: () => void;
} {
  let end: (code: number) => void = () => {};
  const code = new Promise<number>((resolve) => {
    end = resolve;
  });
  const handlers = FORWARDED_SIGNALS.map((signal) => [signal, () => end(128 + SIGNAL_NUMBERS[signal])] as const);
  // The error handlers stay: a late write error of a client that is gone must not end this process.
  stdout.on('error', () => end(0));
  stderr.on('error', () => {});
  for (const [signal, handler] of handlers) signals.on(signal, handler);
  return {
    code,
    release: () => {
      for (const [signal, handler] of handlers) signals.off(signal, handler);
    },
  };
}

async function after(ms: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, ms).unref());
}
