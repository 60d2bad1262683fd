/** From `countersign.yaml` to the clients of the decision point that it offers. */
import { type Config, CountersignError } from '@countersign/core';
import { type Environment, invalid, readSecret } from '../channels/secret.ts';
import { type ClientOptions, Clients } from './clients.ts';

/**
 * Who may ask `countersign serve` with a token.
 *
 * @param env - where tokens named by variable are; default `process.env`.
 * @throws {CountersignError} `CONFIG_INVALID` when a token is not there, malformed, or another client's too.
 */
export function configuredClients({ serve }: Pick<Config, 'serve'>, env: Environment = process.env): readonly ClientOptions[] {
  const clients = serve.clients.map(({ agent, tokens, sessions }, at) => ({
    agent,
    tokens: tokens.map((source) => readSecret(source, env, `serve.clients[${at}].token`)),
    ...(sessions !== undefined && { sessions }),
  }));
  try {
    new Clients(clients);
  } catch (error) {
    if (CountersignError.is(error) && error.code === 'OPTIONS_INVALID') throw invalid('serve.clients', error.message);
    throw error;
  }
  return clients;
}
