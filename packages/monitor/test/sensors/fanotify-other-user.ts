/** Run as a user without rights. Prints one JSON line. */
import { fanotifyMissing } from '../../src/sensors/fanotify.ts';

console.log(JSON.stringify(fanotifyMissing() ?? 'offered'));
