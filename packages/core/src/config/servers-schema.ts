/** The shape of `servers:`, the MCP servers behind one `countersign proxy`. */
import * as z from 'zod';
import { type SecretDocument, secretSchema } from './secret.ts';

const SERVER_TRANSPORTS = ['http', 'sse'] as const;
const SERVER_CONTAINS = ['off', 'landlock', 'srt', 'auto'] as const;
export type ServerTransport = (typeof SERVER_TRANSPORTS)[number];

/** Servers of one file. */
const MAX_SERVERS = 64;
const MAX_ARGS = 1000;
const MAX_VALUES = 256;

/** A value of a header or a variable: text that may hold `${NAME}`, or where all of it lies. */
export type ValueDocument = string | SecretDocument;

interface CommandServerDocument {
  readonly command: string;
  readonly args?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, ValueDocument>> | undefined;
  readonly cwd?: string | undefined;
  readonly contain?: (typeof SERVER_CONTAINS)[number] | undefined;
}

interface UrlServerDocument {
  readonly url: string;
  readonly headers?: Readonly<Record<string, ValueDocument>> | undefined;
  readonly transport?: ServerTransport | undefined;
  readonly allow_insecure?: boolean | undefined;
}

export type ServerDocument = CommandServerDocument | UrlServerDocument;

const value = z
  .union([z.string().max(4096), secretSchema], { error: 'text with ${NAME} for what is secret, or { env: NAME }, or { file: PATH }' })
  .describe('text, where ${NAME} is a variable of the environment; or where all of it lies');
const values = z
  .record(z.string().min(1).max(256), value)
  .refine((given) => Object.keys(given).length <= MAX_VALUES, `at most ${MAX_VALUES}`);

const commandServer = z.strictObject({
  command: z.string().min(1).max(4096).describe('program that speaks MCP on its standard input and output'),
  args: z.array(z.string().max(4096)).max(MAX_ARGS).optional().describe('everybody on this machine can read them: no secret in them'),
  env: values.optional().describe('variables it gets besides those of the proxy'),
  cwd: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('its working directory, relative to the folder of this file; that of the proxy when absent'),
  contain: z
    .enum(SERVER_CONTAINS)
    .optional()
    .describe('what shuts it in to what `scope` allows, its working directory being its workspace: as monitor.contain; off when absent'),
});

const urlServer = z.strictObject({
  url: z.string().min(1).max(2048).describe('https; http to loopback. No credentials in it'),
  headers: values.optional().describe('sent with every request'),
  transport: z.enum(SERVER_TRANSPORTS).optional().describe('http (Streamable HTTP) or sse (HTTP+SSE of 2024-11-05); found out when absent'),
  allow_insecure: z.boolean().optional().describe('plain http to other hosts'),
});

export const serversSchema: z.ZodType<Readonly<Record<string, ServerDocument>>> = z
  .record(z.string(), z.union([commandServer, urlServer]))
  .refine((servers) => Object.keys(servers).length <= MAX_SERVERS, `at most ${MAX_SERVERS} servers`)
  .describe('MCP servers by the name that rules use, behind one `countersign proxy`');
