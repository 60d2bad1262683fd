'use strict';
// Preload of the probe: `NODE_OPTIONS=--require=@countersign/monitor/register`. CommonJS, because what is imported does not reach
// threads that evaluate text.
require('#probe-preload').preload();
