/**
 * Credentials as their vendors make them, for measuring how many are found. Written from the vendors' documents and from what
 * their tokens look like in public, apart from the detectors and without a look at them; nothing in here imports from `src`.
 * Each is put together at run time: no full-shaped credential stands in the repository.
 */
import { crc32 } from 'node:zlib';
import { ALNUM, DIGITS, HEX, LOWER, type Random, STD64, UPPER } from './random.ts';

export interface Vendor {
  readonly kind: string;
  /** Names under which people keep it: environment variables or keys of a configuration. */
  readonly names: readonly string[];
  /** Shapes, each a credential as it is written; several where the vendor has several kinds of token. */
  readonly make: readonly ((random: Random) => string)[];
  /** Known only by its name, or by the vendor's: then it occurs only where the one or the other stands by it. */
  readonly needs?: 'name' | 'vendor';
}

const base64 = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64');
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** Thirty characters and the CRC-32 of them in base 62, six digits with leading zeros. */
function withChecksum(random: Random): string {
  const entropy = random.alnum(30);
  let rest = crc32(entropy);
  let checksum = '';
  while (checksum.length < 6) {
    checksum = ALNUM.charAt(rest % 62) + checksum;
    rest = Math.floor(rest / 62);
  }
  return entropy + checksum;
}

const hexUuid = (random: Random): string => random.uuid();
const BECH32 = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'.toUpperCase();

export const VENDORS: readonly Vendor[] = [
  // models
  {
    kind: 'openai-key',
    names: ['OPENAI_API_KEY', 'openai_api_key'],
    make: [
      (r) => `sk-${r.pick(['proj', 'svcacct', 'admin'])}-${r.url64(74)}T3BlbkFJ${r.url64(74)}`,
      (r) => `sk-${r.pick(['proj', 'svcacct'])}-${r.url64(58)}T3BlbkFJ${r.url64(58)}`,
      (r) => `sk-${r.alnum(20)}T3BlbkFJ${r.alnum(20)}`,
    ],
  },
  {
    kind: 'anthropic-key',
    names: ['ANTHROPIC_API_KEY', 'anthropicApiKey'],
    make: [(r) => `sk-ant-${r.pick(['api03', 'admin01', 'oat01'])}-${r.url64(93)}AA`],
  },
  { kind: 'openrouter-key', names: ['OPENROUTER_API_KEY'], make: [(r) => `sk-or-v1-${r.hex(64)}`] },
  { kind: 'api-key', names: ['DEEPSEEK_API_KEY', 'LITELLM_MASTER_KEY'], make: [(r) => `sk-${r.hex(32)}`, (r) => `sk-${r.alnum(48)}`] },
  {
    kind: 'huggingface-token',
    names: ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'],
    make: [(r) => `hf_${r.text(LOWER + UPPER, 34)}`, (r) => `api_org_${r.text(LOWER + UPPER, 34)}`],
  },
  { kind: 'groq-key', names: ['GROQ_API_KEY'], make: [(r) => `gsk_${r.alnum(52)}`] },
  { kind: 'xai-key', names: ['XAI_API_KEY'], make: [(r) => `xai-${r.alnum(80)}`] },
  { kind: 'perplexity-key', names: ['PERPLEXITY_API_KEY'], make: [(r) => `pplx-${r.alnum(48)}`] },
  { kind: 'replicate-token', names: ['REPLICATE_API_TOKEN'], make: [(r) => `r8_${r.alnum(37)}`] },
  { kind: 'nvidia-key', names: ['NVIDIA_API_KEY'], make: [(r) => `nvapi-${r.url64(64)}`] },
  { kind: 'langsmith-key', names: ['LANGSMITH_API_KEY'], make: [(r) => `lsv2_${r.pick(['pt', 'sk'])}_${r.hex(32)}_${r.hex(10)}`] },
  // code hosts, registries, tools
  {
    kind: 'github-token',
    names: ['GITHUB_TOKEN', 'GH_TOKEN', 'githubToken'],
    make: [
      (r) => `gh${r.pick(['p', 'o', 'u', 's', 'r'])}_${withChecksum(r)}`,
      (r) => `github_pat_11${r.text(UPPER + DIGITS, 20)}_${r.alnum(59)}`,
    ],
  },
  {
    kind: 'gitlab-token',
    names: ['GITLAB_TOKEN', 'CI_JOB_TOKEN', 'gitlab_token'],
    make: [
      (r) => `gl${r.pick(['pat', 'dt', 'rt', 'ft', 'soat', 'ffct'])}-${r.url64(20)}`,
      (r) => `glpat-${r.url64(27)}.${r.text(DIGITS + LOWER, 2)}.${r.text(DIGITS + LOWER, 9)}`,
      (r) => `glptt-${r.hex(40)}`,
      (r) => `glcbt-${r.hex(2)}_${r.url64(20)}`,
      (r) => `glimt-${r.url64(25)}`,
      (r) => `glagent-${r.url64(50)}`,
      (r) => `gloas-${r.hex(64)}`,
      (r) => `GR1348941${r.url64(20)}`,
    ],
  },
  {
    kind: 'atlassian-token',
    names: ['JIRA_API_TOKEN', 'ATLASSIAN_API_TOKEN'],
    make: [(r) => `ATATT3xFfGF0${r.url64(171)}=${r.text(HEX.toUpperCase(), 8)}`, (r) => `ATCTT3xFfGN0${r.url64(171)}=${r.text(HEX.toUpperCase(), 8)}`],
  },
  { kind: 'bitbucket-token', names: ['BITBUCKET_APP_PASSWORD'], make: [(r) => `ATBB${r.alnum(24)}${r.text(HEX.toUpperCase(), 8)}`] },
  { kind: 'npm-token', names: ['NPM_TOKEN', 'NODE_AUTH_TOKEN', '_authToken'], make: [(r) => `npm_${withChecksum(r)}`] },
  {
    kind: 'pypi-token',
    names: ['TWINE_PASSWORD', 'PYPI_TOKEN'],
    make: [(r) => `pypi-AgEIcHlwaS5vcmc${r.url64(130)}`, (r) => `pypi-AgENdGVzdC5weXBpLm9yZ${r.url64(140)}`],
  },
  { kind: 'crates-token', names: ['CARGO_REGISTRY_TOKEN'], make: [(r) => `cio${r.alnum(32)}`] },
  { kind: 'rubygems-token', names: ['GEM_HOST_API_KEY'], make: [(r) => `rubygems_${r.hex(48)}`] },
  { kind: 'nuget-key', names: ['NUGET_API_KEY'], make: [(r) => `oy2${r.text('abcdefghijklmnopqrstuvwxyz234567', 43)}`] },
  { kind: 'clojars-token', names: ['CLOJARS_PASSWORD'], make: [(r) => `CLOJARS_${r.hex(60)}`] },
  { kind: 'docker-token', names: ['DOCKERHUB_TOKEN', 'DOCKER_PASSWORD'], make: [(r) => `dckr_pat_${r.url64(27)}`, (r) => `dckr_oat_${r.url64(32)}`] },
  { kind: 'artifactory-token', names: ['ARTIFACTORY_API_KEY'], make: [(r) => `AKCp${r.pick(DIGITS.split(''))}${r.alnum(68)}`, (r) => `cmVmdGtuOjAxOj${r.alnum(50)}`] },
  { kind: 'circleci-token', names: ['CIRCLE_TOKEN'], make: [(r) => `CCIPAT_${r.alnum(22)}_${r.hex(40)}`] },
  { kind: 'buildkite-token', names: ['BUILDKITE_API_TOKEN'], make: [(r) => `bkua_${r.hex(40)}`] },
  { kind: 'sonar-token', names: ['SONAR_TOKEN'], make: [(r) => `sq${r.pick(['p', 'u', 'a'])}_${r.hex(40)}`] },
  { kind: 'sourcegraph-token', names: ['SRC_ACCESS_TOKEN'], make: [(r) => `sgp_${r.hex(40)}`, (r) => `sgp_${r.pick(['local', r.hex(16)])}_${r.hex(40)}`] },
  { kind: 'postman-key', names: ['POSTMAN_API_KEY'], make: [(r) => `PMAK-${r.hex(24)}-${r.hex(34)}`] },
  { kind: 'linear-key', names: ['LINEAR_API_KEY'], make: [(r) => `lin_api_${r.alnum(40)}`, (r) => `lin_oauth_${r.hex(64)}`] },
  { kind: 'notion-token', names: ['NOTION_TOKEN'], make: [(r) => `ntn_${r.text(DIGITS, 11)}${r.alnum(35)}`] },
  { kind: 'figma-token', names: ['FIGMA_TOKEN'], make: [(r) => `figd_${r.url64(40)}`] },
  { kind: 'airtable-token', names: ['AIRTABLE_API_KEY'], make: [(r) => `pat${r.alnum(14)}.${r.hex(64)}`] },
  {
    kind: 'onepassword-key',
    names: ['OP_SERVICE_ACCOUNT_TOKEN', 'op_secret_key'],
    make: [
      (r) => `ops_${base64({ signInAddress: 'my.1password.com', userAuth: { method: 'SRPg-4096' }, email: `${r.alnum(13)}@1passwordserviceaccounts.com`, srpX: r.hex(64), deviceUuid: r.alnum(26) })}`,
      (r) => `A3-${r.text(UPPER + DIGITS, 6)}-${r.text(UPPER + DIGITS, 6)}-${[1, 2, 3, 4].map(() => r.text(UPPER + DIGITS, 5)).join('-')}`,
    ],
  },
  { kind: 'prefect-key', names: ['PREFECT_API_KEY'], make: [(r) => `pnu_${r.alnum(36)}`] },
  { kind: 'readme-key', names: ['README_API_KEY'], make: [(r) => `rdme_${r.text(LOWER + DIGITS, 70)}`] },
  { kind: 'contentful-token', names: ['CONTENTFUL_MANAGEMENT_TOKEN'], make: [(r) => `CFPAT-${r.url64(43)}`] },
  { kind: 'octopus-key', names: ['OCTOPUS_API_KEY'], make: [(r) => `API-${r.text(UPPER + DIGITS, 26)}`] },
  { kind: 'infracost-key', names: ['INFRACOST_API_KEY'], make: [(r) => `ico-${r.alnum(32)}`] },
  { kind: 'harness-token', names: ['HARNESS_PLATFORM_API_KEY'], make: [(r) => `${r.pick(['pat', 'sat'])}.${r.url64(22)}.${r.hex(24)}.${r.alnum(20)}`] },
  // clouds
  {
    kind: 'aws-access-key',
    names: ['AWS_ACCESS_KEY_ID', 'aws_access_key_id'],
    make: [(r) => `${r.pick(['AKIA', 'ASIA'])}${r.text('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}`],
  },
  { kind: 'aws-secret-key', names: ['AWS_SECRET_ACCESS_KEY', 'aws_secret_access_key', 'SecretAccessKey'], make: [(r) => r.text(STD64, 40)], needs: 'name' },
  {
    kind: 'aws-session-token',
    names: ['AWS_SESSION_TOKEN', 'aws_session_token'],
    make: [(r) => `IQoJb3JpZ2luX2Vj${r.text(STD64, r.between(280, 900))}==`, (r) => `FwoGZXIvYXdz${r.text(STD64, r.between(280, 500))}=`],
  },
  {
    kind: 'aws-bedrock-key',
    names: ['AWS_BEARER_TOKEN_BEDROCK'],
    make: [(r) => `ABSK${Buffer.from(`BedrockAPIKey-${r.text(LOWER + DIGITS, 4)}-at-${r.text(DIGITS, 12)}:${r.text(STD64, 43)}=`).toString('base64')}`],
  },
  { kind: 'google-api-key', names: ['GOOGLE_API_KEY', 'GEMINI_API_KEY', 'mapsKey'], make: [(r) => `AIzaSy${r.url64(33)}`] },
  {
    kind: 'google-token',
    names: ['GOOGLE_ACCESS_TOKEN', 'refresh_token'],
    make: [(r) => `ya29.${r.url64(160)}`, (r) => `ya29.c.${r.url64(200)}`, (r) => `1//0${r.text(HEX, 1)}${r.url64(98)}`],
  },
  { kind: 'google-client-secret', names: ['GOOGLE_CLIENT_SECRET', 'client_secret'], make: [(r) => `GOCSPX-${r.url64(28)}`] },
  { kind: 'azure-client-secret', names: ['AZURE_CLIENT_SECRET', 'client_secret'], make: [(r) => `${r.alnum(3)}${r.text(DIGITS, 1)}Q~${r.text(`${ALNUM}~._-`, 33)}a`] },
  { kind: 'alibaba-access-key', names: ['ALIBABA_CLOUD_ACCESS_KEY_ID'], make: [(r) => `LTAI${r.alnum(20)}`] },
  { kind: 'digitalocean-token', names: ['DIGITALOCEAN_TOKEN'], make: [(r) => `do${r.pick(['p', 'o', 'r'])}_v1_${r.hex(64)}`] },
  {
    kind: 'cloudflare-token',
    names: ['CLOUDFLARE_API_TOKEN', 'CF_API_TOKEN'],
    make: [(r) => `cf${r.pick(['ut', 'at', 'k'])}_${r.alnum(40)}${r.hex(8)}`, (r) => `v1.0-${r.hex(24)}-${r.hex(146)}`],
  },
  { kind: 'cloudflare-token', names: ['CLOUDFLARE_API_TOKEN', 'CF_API_TOKEN', 'cloudflare_api_token'], make: [(r) => r.url64(40)], needs: 'name' },
  { kind: 'heroku-key', names: ['HEROKU_API_KEY'], make: [(r) => `HRKU-AA${r.url64(58)}`] },
  { kind: 'heroku-key', names: ['HEROKU_API_KEY'], make: [hexUuid], needs: 'name' },
  { kind: 'netlify-token', names: ['NETLIFY_AUTH_TOKEN'], make: [(r) => `nfp_${r.alnum(36)}`] },
  { kind: 'vercel-token', names: ['VERCEL_TOKEN'], make: [(r) => r.alnum(24)], needs: 'name' },
  { kind: 'fly-token', names: ['FLY_API_TOKEN'], make: [(r) => `fo1_${r.url64(43)}`, (r) => `fm2_${r.text(STD64, r.between(120, 400))}==`] },
  { kind: 'supabase-key', names: ['SUPABASE_ACCESS_TOKEN', 'SUPABASE_SECRET_KEY'], make: [(r) => `sbp_${r.hex(40)}`, (r) => `sb_secret_${r.url64(22)}_${r.url64(8)}`] },
  { kind: 'planetscale-token', names: ['PLANETSCALE_SERVICE_TOKEN', 'DATABASE_PASSWORD'], make: [(r) => `pscale_${r.pick(['tkn', 'pw', 'oauth'])}_${r.url64(43)}`] },
  { kind: 'databricks-token', names: ['DATABRICKS_TOKEN'], make: [(r) => `dapi${r.hex(32)}`, (r) => `dapi${r.hex(32)}-${r.pick(['2', '3'])}`] },
  { kind: 'tailscale-key', names: ['TS_AUTHKEY'], make: [(r) => `tskey-${r.pick(['auth', 'api', 'client'])}-k${r.alnum(11)}CNTRL-${r.alnum(32)}`] },
  { kind: 'doppler-token', names: ['DOPPLER_TOKEN'], make: [(r) => `dp.${r.pick(['pt', 'ct', 'sa'])}.${r.alnum(43)}`, (r) => `dp.st.${r.pick(['dev', 'prd'])}.${r.alnum(43)}`] },
  { kind: 'pulumi-token', names: ['PULUMI_ACCESS_TOKEN'], make: [(r) => `pul-${r.hex(40)}`] },
  { kind: 'vault-token', names: ['VAULT_TOKEN'], make: [(r) => `hvs.CAES${r.url64(90)}`, (r) => `hvs.${r.alnum(24)}`, (r) => `hvb.AAAAAQ${r.url64(150)}`] },
  { kind: 'terraform-token', names: ['TFE_TOKEN', 'TF_TOKEN_app_terraform_io'], make: [(r) => `${r.alnum(14)}.atlasv1.${r.alnum(67)}`] },
  { kind: 'openshift-token', names: ['OPENSHIFT_TOKEN'], make: [(r) => `sha256~${r.url64(43)}`] },
  { kind: 'hubspot-token', names: ['HUBSPOT_ACCESS_TOKEN'], make: [(r) => `pat-${r.pick(['na1', 'eu1'])}-${hexUuid(r)}`] },
  // money, messages, mail
  { kind: 'stripe-key', names: ['STRIPE_SECRET_KEY', 'STRIPE_API_KEY'], make: [(r) => `${r.pick(['sk', 'rk'])}_${r.pick(['live', 'test'])}_51${r.alnum(97)}`, (r) => `sk_${r.pick(['live', 'test'])}_${r.alnum(24)}`] },
  { kind: 'stripe-webhook-secret', names: ['STRIPE_WEBHOOK_SECRET'], make: [(r) => `whsec_${r.alnum(32)}`, (r) => `whsec_${r.bytes(24).toString('base64')}`] },
  { kind: 'shopify-token', names: ['SHOPIFY_ACCESS_TOKEN'], make: [(r) => `shp${r.pick(['at', 'ca', 'pa', 'ss'])}_${r.hex(32)}`] },
  { kind: 'square-token', names: ['SQUARE_ACCESS_TOKEN'], make: [(r) => `sq0atp-${r.url64(22)}`, (r) => `sq0csp-${r.url64(43)}`, (r) => `EAAA${r.url64(60)}`] },
  { kind: 'braintree-token', names: ['BRAINTREE_ACCESS_TOKEN'], make: [(r) => `access_token$${r.pick(['production', 'sandbox'])}$${r.text(LOWER + DIGITS, 16)}$${r.hex(32)}`] },
  { kind: 'paypal-token', names: ['PAYPAL_ACCESS_TOKEN'], make: [(r) => `A21AA${r.url64(92)}`] },
  { kind: 'plaid-token', names: ['PLAID_ACCESS_TOKEN'], make: [(r) => `access-${r.pick(['sandbox', 'development', 'production'])}-${hexUuid(r)}`] },
  { kind: 'facebook-token', names: ['FACEBOOK_ACCESS_TOKEN'], make: [(r) => `EAA${r.pick(['C', 'M', 'B', 'G'])}${r.alnum(r.between(150, 200))}`] },
  {
    kind: 'slack-token',
    names: ['SLACK_BOT_TOKEN', 'SLACK_APP_TOKEN', 'slackToken'],
    make: [
      (r) => `xoxb-${r.text(DIGITS, 12)}-${r.text(DIGITS, 13)}-${r.alnum(24)}`,
      (r) => `xoxp-${r.text(DIGITS, 12)}-${r.text(DIGITS, 12)}-${r.text(DIGITS, 13)}-${r.hex(32)}`,
      (r) => `xapp-1-A${r.text(UPPER + DIGITS, 10)}-${r.text(DIGITS, 13)}-${r.hex(64)}`,
      (r) => `xoxe.xoxp-1-${r.alnum(164)}`,
      (r) => `xoxe-1-${r.alnum(146)}`,
    ],
  },
  { kind: 'telegram-token', names: ['TELEGRAM_BOT_TOKEN'], make: [(r) => `${r.text('123456789', 1)}${r.text(DIGITS, r.between(8, 9))}:AA${r.url64(33)}`] },
  {
    kind: 'discord-token',
    names: ['DISCORD_TOKEN', 'DISCORD_BOT_TOKEN'],
    make: [
      (r) => `${Buffer.from(`${r.text('123456789', 1)}${r.text(DIGITS, r.between(16, 18))}`).toString('base64').replaceAll('=', '')}.${r.pick(['G', 'X', 'Y'])}${r.url64(5)}.${r.url64(r.pick([27, 38]))}`,
    ],
  },
  { kind: 'sendgrid-key', names: ['SENDGRID_API_KEY'], make: [(r) => `SG.${r.url64(22)}.${r.url64(43)}`] },
  { kind: 'twilio-key', names: ['TWILIO_API_KEY'], make: [(r) => `SK${r.hex(32)}`], needs: 'vendor' },
  { kind: 'twilio-key', names: ['TWILIO_AUTH_TOKEN'], make: [(r) => r.hex(32)], needs: 'name' },
  { kind: 'mailgun-key', names: ['MAILGUN_API_KEY'], make: [(r) => `key-${r.hex(32)}`], needs: 'vendor' },
  { kind: 'mailchimp-key', names: ['MAILCHIMP_API_KEY'], make: [(r) => `${r.hex(32)}-us${r.between(1, 21)}`] },
  { kind: 'brevo-key', names: ['BREVO_API_KEY'], make: [(r) => `xkeysib-${r.hex(64)}-${r.alnum(16)}`] },
  { kind: 'typeform-token', names: ['TYPEFORM_TOKEN'], make: [(r) => `tfp_${r.alnum(44)}_${r.alnum(14)}`] },
  { kind: 'shippo-token', names: ['SHIPPO_TOKEN'], make: [(r) => `shippo_${r.pick(['live', 'test'])}_${r.hex(40)}`] },
  { kind: 'easypost-key', names: ['EASYPOST_API_KEY'], make: [(r) => `EZ${r.pick(['AK', 'TK'])}${r.hex(32)}${r.alnum(22)}`] },
  { kind: 'duffel-token', names: ['DUFFEL_ACCESS_TOKEN'], make: [(r) => `duffel_${r.pick(['test', 'live'])}_${r.url64(43)}`] },
  { kind: 'flutterwave-key', names: ['FLW_SECRET_KEY'], make: [(r) => `FLWSECK${r.pick(['', '_TEST'])}-${r.hex(32)}-X`] },
  { kind: 'dropbox-token', names: ['DROPBOX_TOKEN'], make: [(r) => `sl.${r.url64(140)}`, (r) => `sl.u.${r.url64(1200)}`] },
  { kind: 'mapbox-token', names: ['MAPBOX_SECRET_TOKEN'], make: [(r) => `sk.${base64url({ u: r.text(LOWER, 8), a: `c${r.text(LOWER + DIGITS, 24)}` })}.${r.url64(22)}`] },
  { kind: 'maxmind-key', names: ['MAXMIND_LICENSE_KEY'], make: [(r) => `${r.alnum(6)}_${r.alnum(29)}_mmk`] },
  // monitoring
  { kind: 'datadog-key', names: ['DD_API_KEY', 'DATADOG_API_KEY', 'datadog_api_key'], make: [(r) => r.hex(32), (r) => r.hex(40)], needs: 'name' },
  { kind: 'newrelic-key', names: ['NEW_RELIC_API_KEY', 'NEW_RELIC_LICENSE_KEY'], make: [(r) => `NRAK-${r.text(UPPER + DIGITS, 27)}`, (r) => `NRII-${r.alnum(32)}`, (r) => `${r.hex(36)}NRAL`] },
  {
    kind: 'sentry-token',
    names: ['SENTRY_AUTH_TOKEN'],
    make: [
      (r) => `sntrys_${base64({ iat: 1_700_000_000 + r.below(1e8), url: 'https://sentry.io', region_url: 'https://us.sentry.io', org: r.word() })}_${r.text(STD64, 43)}`,
      (r) => `sntryu_${r.hex(64)}`,
    ],
  },
  {
    kind: 'grafana-token',
    names: ['GRAFANA_TOKEN', 'GRAFANA_API_KEY'],
    make: [
      (r) => `glsa_${r.alnum(32)}_${r.hex(8)}`,
      (r) => `glc_${base64({ o: r.text(DIGITS, 7), n: `stack-${r.word()}`, k: r.text(STD64, 24), m: { r: 'us' } })}`,
      (r) => base64({ k: r.alnum(32), n: r.word(), id: 1 }),
    ],
  },
  { kind: 'dynatrace-token', names: ['DT_API_TOKEN'], make: [(r) => `dt0c01.${r.text('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 24)}.${r.text('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 64)}`] },
  { kind: 'okta-token', names: ['OKTA_API_TOKEN', 'OKTA_CLIENT_TOKEN'], make: [(r) => `00${r.url64(40)}`], needs: 'name' },
  // keys in one line
  { kind: 'age-key', names: ['SOPS_AGE_KEY'], make: [(r) => `AGE-SECRET-KEY-1${r.text(BECH32, 58)}`] },
  {
    kind: 'jwt',
    names: ['ID_TOKEN', 'access_token', 'jwt'],
    make: [
      (r) => `${base64url({ alg: r.pick(['HS256', 'RS256', 'ES256', 'EdDSA']), typ: 'JWT' })}.${base64url({ sub: r.word(), iat: r.below(2e9) })}.${r.url64(r.pick([43, 86, 342]))}`,
      (r) => `${base64url({ typ: 'at+jwt', kid: r.alnum(8), alg: 'RS256' })}.${base64url({ iss: 'https://idp.example/', scope: r.words(4) })}.${r.url64(342)}`,
      (r) => `${base64url({ alg: 'RSA-OAEP-256', enc: 'A256GCM' })}.${r.url64(342)}.${r.url64(16)}.${r.url64(90)}.${r.url64(22)}`,
      (r) => `${base64url({ alg: 'dir', enc: 'A256CBC-HS512' })}..${r.url64(22)}.${r.url64(150)}.${r.url64(43)}`,
    ],
  },
  {
    kind: 'kubernetes-token',
    names: ['KUBE_TOKEN', 'token'],
    make: [
      (r) => `${base64url({ alg: 'RS256', kid: r.url64(43) })}.${base64url({ aud: ['https://kubernetes.default.svc'], iss: 'https://kubernetes.default.svc', 'kubernetes.io': { namespace: r.word(), serviceaccount: { name: 'default', uid: r.uuid() } }, sub: 'system:serviceaccount:default:default' })}.${r.url64(342)}`,
      (r) => `${base64url({ alg: 'RS256', kid: '' })}.${base64url({ iss: 'kubernetes/serviceaccount', 'kubernetes.io/serviceaccount/namespace': r.word(), 'kubernetes.io/serviceaccount/secret.name': `${r.word()}-token` })}.${r.url64(342)}`,
    ],
  },
  { kind: 'iban', names: ['IBAN', 'iban', 'customer_iban'], make: [iban, (r) => iban(r).replaceAll(/(.{4})(?=.)/g, '$1 ')], needs: 'name' },
  { kind: 'card-number', names: ['card_number', 'creditCard', 'CARD'], make: [card, (r) => card(r).replaceAll(/(.{4})(?=.)/g, '$1 '), (r) => card(r).replaceAll(/(.{4})(?=.)/g, '$1-')], needs: 'name' },
];

/** Germany, the United Kingdom, the Netherlands, France and Norway, as ISO 13616 lays them out. */
function iban(random: Random): string {
  const [country, account] = random.pick([
    ['DE', random.text(DIGITS, 18)],
    ['GB', random.text(UPPER, 4) + random.text(DIGITS, 14)],
    ['NL', random.text(UPPER, 4) + random.text(DIGITS, 10)],
    ['FR', random.text(DIGITS, 10) + random.text(DIGITS + UPPER, 11) + random.text(DIGITS, 2)],
    ['NO', random.text(DIGITS, 11)],
  ] as const);
  const digits = [...`${account}${country}00`].map((character) => Number.parseInt(character, 36)).join('');
  return `${country}${String(98n - (BigInt(digits) % 97n)).padStart(2, '0')}${account}`;
}

/** Sixteen digits of Visa, Mastercard or Discover, the last one after ISO/IEC 7812. */
function card(random: Random): string {
  const start = random.pick(['4', '51', '55', '2221', '6011']);
  const body = start + random.text(DIGITS, 15 - start.length);
  let sum = 0;
  [...body].toReversed().forEach((digit, i) => {
    const doubled = Number(digit) * (i % 2 === 0 ? 2 : 1);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return body + ((10 - (sum % 10)) % 10);
}

