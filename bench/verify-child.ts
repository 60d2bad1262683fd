/** Run by `verify.ts`: verifies a ledger on so many threads and prints the most memory it ever had, in MB. */
import { verifyLedger } from '@countersign/core/sqlite';

const [path = '', threads = '1'] = process.argv.slice(2);
const { status, problem_count: problems } = await verifyLedger(path, { threads: Number(threads) });
if (status !== 'valid') throw new Error(`the ledger is ${status}: ${problems} problems`);
process.stdout.write(String(process.resourceUsage().maxRSS / 1024));
