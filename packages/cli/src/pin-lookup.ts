/** Finding the pinned tools a person means, and how they are shown to people and machines. */
import { CountersignError, declarationIn, type Json, type PinState, type RecordedOffer } from '@countersign/core';
import type { LedgerReader } from '@countersign/core/sqlite';
import { safe } from './output.ts';

export type PinWord = 'trusted' | 'CHANGED' | 'revoked';

/** How a tool stands. */
export function pinWord({ pinned, offered }: PinState): PinWord {
  if (pinned === undefined) return 'revoked';
  return offered.length > 0 ? 'CHANGED' : 'trusted';
}

/** `server/name`, or the name alone. Not escaped. */
export function pinName({ server, name }: Pick<PinState, 'server' | 'name'>): string {
  return server === undefined ? name : `${server}/${name}`;
}

/** @throws {CountersignError} `PIN_NOT_FOUND` */
export function findPin(pins: readonly PinState[], given: string): PinState {
  const found = pins.find((state) => pinName(state) === given);
  if (found !== undefined) return found;
  const others = pins.filter(({ name }) => name === given).map(pinName);
  const hint = others.length === 0 ? 'see `countersign pins list`' : `there is ${others.slice(0, 3).join(', ')}`;
  throw new CountersignError('PIN_NOT_FOUND', `no tool ${JSON.stringify(given)} is pinned in this ledger; ${hint}`);
}

/** What a person would accept: what was offered last or, when nothing was, what is or was trusted. */
export function acceptable({ offered, pinned, recorded }: PinState): RecordedOffer | undefined {
  return offered.at(-1) ?? pinned ?? [...recorded.values()].at(-1);
}

/** As it lies beside its entry, unless it was forgotten. */
export function declarationOf(reader: LedgerReader, { name }: PinState, offer: RecordedOffer | undefined): Json | undefined {
  return offer === undefined ? undefined : declarationIn(reader.opening(offer.entry.of), name);
}

/** How a person is named. Not escaped. */
export function trustText({ acceptedBy, pinned, revokedBy }: PinState): string {
  if (pinned === undefined) return revokedBy?.id ?? '?';
  return acceptedBy?.id ?? 'first use';
}

export function flagsText(state: PinState): string {
  const flags = acceptable(state)?.flags ?? [];
  return flags.length === 0 ? '-' : flags.map(safe).join(', ');
}

/** Pinned: the shape of a tool in every `--json` output. */
export function pinJson(state: PinState): Record<string, unknown> {
  const { server, name, pinned, acceptedBy, revokedBy, sinceMs, offered } = state;
  return {
    server: server ?? null,
    name,
    state: pinWord(state).toLowerCase(),
    since: sinceMs,
    accepted_by: acceptedBy ?? null,
    revoked_by: revokedBy ?? null,
    pinned: pinned === undefined ? null : offerJson(pinned),
    offered: offered.map(offerJson),
  };
}

function offerJson({ digest, entry, atMs, flags, isRedacted }: RecordedOffer): Record<string, unknown> {
  return { digest, entry, at: atMs, flags, redacted: isRedacted };
}
