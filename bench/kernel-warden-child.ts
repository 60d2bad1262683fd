/** A warden of its own process, to be killed: watches a shell that leaves somebody behind. Argument: the folder it works in. */
import { supervised } from '../packages/monitor/test/kernel/supervised.ts';

const [folder = ''] = process.argv.slice(2);
/** Built-in commands alone until the warden is gone: then it tries to make, to open and, last, to run something, and counts what went through. */
const SURVIVOR = `
exec 2> "$2/errors" 5> "$2/went-through"
: > "$2/ready"
while [ -d "/proc/$1" ]; do true; done
n=0
trap 'echo "$n" >&5' EXIT
for i in 1 2 3 4 5; do
  true > "$2/made$i" && n=$((n+1))
  true < "$2/ready" && n=$((n+1))
done
/bin/rm "$2/ready" && n=$((n+1))
`;
// What it watches ends before it does.
setInterval(() => {}, 60_000);
await supervised({
  program: '/bin/sh',
  args: ['-c', '/bin/sh -c "$3" sh "$1" "$2" & exit 0', 'sh', String(process.pid), folder, SURVIVOR],
  workspace: folder,
  quiet: true,
});
