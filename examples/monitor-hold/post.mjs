/** What `curl --data-binary @- URL` does: sends standard input away. */
import { text } from 'node:stream/consumers';

const body = await text(process.stdin);
await fetch(process.argv[2], { method: 'POST', body });
