/** What can shut a program in here, and why not; said where tests are skipped for it. */
import { defaultScope, openSandbox } from '@countersign/monitor';

async function whyNot(by: 'landlock' | 'srt'): Promise<string | undefined> {
  const { sandbox, contained } = await openSandbox({ by, whenMissing: 'without' }, defaultScope());
  await sandbox?.close();
  const why = contained.missing[0]?.why;
  if (why !== undefined) console.warn(`SKIPPED: ${by}: ${why}`);
  return why;
}

export const noLandlock: string | undefined = await whyNot('landlock');
export const noSrt: string | undefined = await whyNot('srt');
