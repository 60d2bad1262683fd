/** What can be wrong with a receipt, as stable codes. Where `verify` has the same code, it means the same. */
export const RECEIPT_CODES = {
  // The text
  RECEIPT_MALFORMED: 'It is not the canonical JSON of a receipt.',
  RECEIPT_VERSION: 'It has a version this reader does not know.',
  PROOF_MALFORMED: 'A proof is not the text of a tlog-proof, or carries extra data.',
  CHECKPOINT_INVALID: 'The checkpoint in a proof is malformed.',
  // The tree
  INCLUSION_FAILED: 'The proof does not lead from the entry to the root of the checkpoint.',
  CHECKPOINT_DIFFERS: 'Decision and outcome are proven against different checkpoints.',
  ORIGIN_MISMATCH: 'The checkpoint is of another log than the one expected.',
  // Who signed
  UNSIGNED: 'Keys were given, and the checkpoint has no signature.',
  SIGNATURE_UNKNOWN: 'The checkpoint is signed, by none of the keys given.',
  SIGNATURE_INVALID: 'A signature names a key that was given and is not by it.',
  KEY_REVOKED: 'The checkpoint is signed only by a key that was revoked before it.',
  KEY_OUT_OF_RANGE: 'The checkpoint is signed only by a key that does not count at its size.',
  COSIGNATURE_MISSING: 'A witness whose key was given did not cosign the checkpoint.',
  TIMESTAMP_MISSING: 'Certificates of timestamp authorities were given, and the checkpoint has no timestamp they vouch for.',
  TIMESTAMP_UNKNOWN: 'The checkpoint has a timestamp that none of the certificates given vouches for.',
  TIMESTAMP_INVALID: 'Certificates were given, and what stands beside the checkpoint as a timestamp is none of it.',
  // The entry
  ENTRY_NOT_CANONICAL: 'An entry is not RFC 8785 JSON, or too large.',
  ENTRY_SHAPE: 'An entry does not have the shape of its kind.',
  ENTRY_VERSION: 'An entry has a version this reader does not know.',
  UNKNOWN_KIND: 'An entry is of a kind that this version does not check.',
  UNKNOWN_FIELD: 'An entry has fields that this version does not check.',
  POLICY_HASH_MISMATCH: 'A policy document does not have the hash it is recorded under.',
  TIME_BACKWARDS: 'The outcome is older than its decision.',
  // The outcome
  OUTCOME_WITHOUT_DECISION: 'What stands in the place of an outcome, or of its decision, is none.',
  OUTCOME_AFTER_DENY: 'There is an outcome although the call was not allowed.',
  OUTCOME_MISMATCH: 'Decision and outcome are of different calls.',
  REFERENCE_MISMATCH: 'The outcome names another decision, or one that stands after it.',
  // The clear text
  OPENING_MISMATCH: 'Clear text is not what the entry commits to.',
  OPENING_INVALID: 'What is disclosed is not of the form a commitment has.',
} as const;

export type ReceiptCode = keyof typeof RECEIPT_CODES;
