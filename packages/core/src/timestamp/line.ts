/**
 * Timestamps of a checkpoint: a token of an RFC 3161 authority over its text, kept as a signature line of the note.
 *
 *     — <name> base64(4 bytes key id || TimeStampToken)
 *
 * The name says where the token came from (`tsa.example/tsr`). The key id is the first four bytes of
 * SHA-256(name || "\n" || 0xff || "rfc3161-timestamp"); 0xff is for types that have no number (c2sp.org/signed-note). No
 * key goes into it: the token names its certificate, and which certificates count is for whoever checks to say. What is
 * stamped is what every other line signs, the text with its last newline.
 */
import { hash } from 'node:crypto';
import { encodeBase64 } from '../ledger/base64.ts';
import { mergeNotes, type NoteSignature, parseNote } from '../ledger/note.ts';
import { readTsaCertificates, type TsaCertificate } from './certificate.ts';
import { judgeToken } from './judge.ts';

const TYPE = Buffer.concat([Buffer.of(0xff), Buffer.from('rfc3161-timestamp')]);

/** That a checkpoint existed. */
export interface Timestamp {
  /** Subject of the certificate that signed it. */
  readonly tsa: string;
  /** Entries the checkpoint covers. */
  readonly size: number;
  /** UTC milliseconds: the time it states, and how far that may be off. */
  readonly beforeMs: number;
}

/** What the timestamp lines of a note say under the certificates that are trusted. */
export interface TimestampVerdict {
  readonly timestamps: readonly Timestamp[];
  /** Lines that nobody looked at, since no certificate was given. */
  readonly unchecked: number;
  /** About lines that are no timestamps of this text, and those of authorities that are not trusted. */
  readonly wrong: readonly string[];
  readonly unknown: readonly string[];
}

export function judgeTimestamps(
  { text, signatures }: { readonly text: string; readonly signatures: readonly NoteSignature[] },
  size: number,
  trusted: readonly TsaCertificate[],
): TimestampVerdict {
  const lines = signatures.filter(isTimestamp);
  if (trusted.length === 0) return { timestamps: [], unchecked: lines.length, wrong: [], unknown: [] };
  const verdicts = lines.map(({ signature }) => judgeToken(signature, text, trusted));
  return {
    timestamps: verdicts.flatMap((each) => (each.is === 'proven' ? [{ tsa: each.tsa, size, beforeMs: each.beforeMs }] : [])),
    unchecked: 0,
    wrong: verdicts.flatMap((each) => (each.is === 'wrong' ? [each.why] : [])),
    unknown: verdicts.flatMap((each) => (each.is === 'unknown' ? [each.why] : [])),
  };
}

/**
 * The timestamps on a note, whoever else signed it.
 *
 * @param certificates - file of PEM certificates: of authorities, or of who vouches for them.
 * @throws {CountersignError} `NOTE_INVALID`, `OPTIONS_INVALID`, `CONFIG_NOT_FOUND`
 */
export function timestampsOf(note: string, certificates: string): readonly Omit<Timestamp, 'size'>[] {
  const { timestamps } = judgeTimestamps(parseNote(note), 0, readTsaCertificates(certificates));
  return timestamps.map(({ tsa, beforeMs }) => ({ tsa, beforeMs }));
}

/** Adds a token that verified over exactly this note's text. */
export function withTimestamp(note: string, name: string, token: Uint8Array): string {
  const line = `\u2014 ${name} ${encodeBase64(Buffer.concat([Buffer.from(keyIdOf(name), 'hex'), token]))}\n`;
  return mergeNotes(note, `${parseNote(note).text}\n${line}`);
}

function isTimestamp({ name, keyId }: NoteSignature): boolean {
  return keyIdOf(name) === keyId;
}

function keyIdOf(name: string): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`, 'utf8'), TYPE])).slice(0, 8);
}
