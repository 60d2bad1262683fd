import { authzenPolicy } from '@countersign/connect';

const policy = authzenPolicy({
  url: 'https://pdp.example.com',
  id: 'company-rules',
  token: () => process.env['PDP_TOKEN'] ?? '',
});
console.log(policy.id, policy.hash);
