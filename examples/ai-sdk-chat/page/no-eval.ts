/** Imported first: zod, which the AI SDK brings, otherwise tries whether it may compile code. Our policy for the page says no. */
import { config } from 'zod';

config({ jitless: true });
