/**
 * When two approver names are one person. Names come from channels and hosts; a quorum must not be met by one person under
 * two spellings, and the name of a key must not be imitated.
 */

/** Compatibility form, without invisible characters and outer space, in one case. For comparing, never for showing. */
export function foldApprover(name: string): string {
  return name
    .normalize('NFKC')
    .replaceAll(/[\p{Default_Ignorable_Code_Point}\p{Cf}]/gu, '')
    .trim()
    .replaceAll(/\s+/gu, ' ')
    .toLowerCase()
    .normalize('NFKC');
}
