/** Keys of clouds, hosts and what runs on them. */
import { type Detector, isVaried, outside, runEnd } from '../detector.ts';
import { markedToken, namedToken, runToken, shapedToken, VARIED } from './shapes.ts';

/** Forty characters of base64 are only a secret key of AWS when they are called one; behind that name, more are one as well. */
const AWS_SECRET_KEY: Detector = {
  kind: 'aws-secret-key',
  triggers: [
    'ecret_access_key',
    'ECRET_ACCESS_KEY',
    'ecretAccessKey',
    'ecret access key',
    'ecret Access Key',
    'ws_secret_key',
    'WS_SECRET_KEY',
  ],
  look(text, at, trigger) {
    BEHIND_NAME.lastIndex = at + trigger.length;
    if (!BEHIND_NAME.test(text)) return undefined;
    const start = BEHIND_NAME.lastIndex;
    const end = runEnd(BASE64_STOP, text, start);
    return end - start < 40 ? undefined : { start, end, secret: isVaried(text, start, end, VARIED) && /\d/.test(text.slice(start, end)) };
  },
};
const BEHIND_NAME = /[\s"'\\:=>,\]]{1,12}/y;
const BASE64_STOP = outside('A-Za-z0-9/+=');

const UUID_TAIL = /[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}/y;

export const CLOUDS: readonly Detector[] = [
  // Real ones are base32, whose first eight characters hold the account. Not asked for: sixteen capitals and digits behind
  // one of these prefixes are no ordinary text either way, not even in base64.
  runToken('aws-access-key', ['AKIA', 'ASIA', 'ABIA', 'ACCA'], 'A-Z0-9', 16),
  AWS_SECRET_KEY,
  // Base64 of what every session token starts with: "origin_ec", or "er/aws".
  runToken('aws-session-token', ['IQoJb3JpZ2lu', 'FwoGZXIvYXdz', 'FQoGZXIvYXdz'], 'A-Za-z0-9+/=%', 80),
  runToken('aws-bedrock-key', ['ABSKQmVkcm9ja0FQSUtleS', 'bedrock-api-key-YmVk'], 'A-Za-z0-9+/=%_-', 40),
  runToken('google-api-key', ['AIza'], 'A-Za-z0-9_-', 35),
  runToken('google-token', ['ya29.'], 'A-Za-z0-9_.-', 24),
  runToken('google-token', ['1//0', '1%2F%2F0'], 'A-Za-z0-9_-', 40, 'word'),
  runToken('google-client-secret', ['GOCSPX-'], 'A-Za-z0-9_-', 24),
  markedToken('azure-client-secret', ['Q~'], /[A-Za-z0-9_~.]{3}\d$/, /[A-Za-z0-9_~.-]{31}[A-Za-z0-9_~.-]{0,9}/y),
  runToken('alibaba-access-key', ['LTAI'], 'A-Za-z0-9', 16, 'word'),
  runToken('digitalocean-token', ['dop_v1_', 'doo_v1_', 'dor_v1_'], 'a-fA-F0-9', 64),
  runToken('cloudflare-token', ['cfut_', 'cfat_', 'cfk_'], 'A-Za-z0-9_-', 40),
  shapedToken('cloudflare-token', ['v1.0-'], /[0-9a-f]{24}-[0-9a-f]{100,146}/y),
  namedToken(
    'cloudflare-token',
    [
      'CLOUDFLARE_API_TOKEN',
      'CLOUDFLARE_API_KEY',
      'CF_API_TOKEN',
      'CF_API_KEY',
      'cloudflare_api_token',
      'cloudflare_api_key',
      'X-Auth-Key',
    ],
    'A-Za-z0-9_-',
    37,
  ),
  runToken('heroku-key', ['HRKU-AA'], 'A-Za-z0-9_-', 40),
  namedToken('heroku-key', ['HEROKU_API_KEY', 'HEROKU_API_TOKEN', 'heroku_api_key'], '0-9a-fA-F-', 36),
  runToken('netlify-token', ['nfp_'], 'A-Za-z0-9_', 36),
  namedToken('netlify-token', ['NETLIFY_AUTH_TOKEN', 'netlify_auth_token'], 'A-Za-z0-9_=-', 40),
  namedToken('vercel-token', ['VERCEL_TOKEN', 'vercel_token', 'VERCEL_ACCESS_TOKEN'], 'A-Za-z0-9', 24),
  runToken('fly-token', ['fo1_', 'fm1r_', 'fm1a_', 'fm2_'], 'A-Za-z0-9+/=%_-', 43),
  runToken('supabase-key', ['sbp_'], 'A-Za-z0-9_', 40),
  runToken('supabase-key', ['sb_secret_'], 'A-Za-z0-9_-', 22),
  runToken('planetscale-token', ['pscale_tkn_', 'pscale_pw_', 'pscale_oauth_'], 'A-Za-z0-9_.=-', 32),
  runToken('databricks-token', ['dapi'], 'a-fA-F0-9', 32),
  runToken('tailscale-key', ['tskey-auth-', 'tskey-api-', 'tskey-client-', 'tskey-scim-', 'tskey-webhook-'], 'A-Za-z0-9-', 20),
  runToken('doppler-token', ['dp.pt.', 'dp.st.', 'dp.ct.', 'dp.sa.', 'dp.scim.', 'dp.audit.'], 'A-Za-z0-9_.-', 40),
  runToken('pulumi-token', ['pul-'], 'a-fA-F0-9', 40),
  runToken('vault-token', ['hvs.', 'hvb.', 'hvr.'], 'A-Za-z0-9_-', 24),
  markedToken('terraform-token', ['.atlasv1.'], /[A-Za-z0-9]{14}$/, /[A-Za-z0-9_=-]{60}[A-Za-z0-9_=-]{0,20}/y),
  runToken('openshift-token', ['sha256~'], 'A-Za-z0-9_-', 43),
  shapedToken('hubspot-token', ['pat-na1-', 'pat-na2-', 'pat-eu1-', 'pat-ap1-'], UUID_TAIL),
];
