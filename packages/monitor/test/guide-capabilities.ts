import { capabilityLines, hostCapabilities } from '@countersign/monitor';

for (const line of capabilityLines(hostCapabilities())) console.log(line);
