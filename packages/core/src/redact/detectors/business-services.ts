/** Tokens of services for payment, shops, messages and mail. */
import { type Detector, outside, runEnd, startsWord } from '../detector.ts';
import { markedToken, namedToken, nearToken, runToken, shapedToken } from './shapes.ts';

/** `SG.` id `.` secret. */
const SENDGRID_KEY: Detector = {
  kind: 'sendgrid-key',
  triggers: ['SG.'],
  look(text, at) {
    SENDGRID.lastIndex = at;
    return SENDGRID.test(text) ? { start: at, end: SENDGRID.lastIndex, secret: true } : undefined;
  },
};
const SENDGRID = /SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}/y;

/**
 * Three parts: the id of the user in base64, a time, a MAC. That the first is the base64 of seventeen to twenty digits is a
 * check as good as a checksum. Triggers are the base64 of a first digit.
 */
const DISCORD_TOKEN: Detector = {
  kind: 'discord-token',
  triggers: ['MT', 'Mj', 'Mz', 'ND', 'NT', 'Nj', 'Nz', 'OD', 'OT'],
  look(text, at) {
    DISCORD.lastIndex = at;
    if (!DISCORD.test(text) || !startsWord(text, at)) return undefined;
    const end = runEnd(PART_STOP, text, DISCORD.lastIndex);
    return { start: at, end, secret: true };
  },
};
// In groups of four the second, and every sixth bit pair, of base64 of digits is fixed: [MNO][DTjz][AEIMQUYcgk][wxyz0-5].
const DISCORD =
  /(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5,6}(?:[MNO][DTjz][AEIMQUYcgk]|[MNO][ADQTgjwz]|[MNO][DTjz][AEIMQUYcgk][w-z0-5])?\.[A-Za-z0-9_-]{5,7}\.[A-Za-z0-9_-]{25}/y;
const PART_STOP = outside('A-Za-z0-9_-');

/** The mark ends the token. */
const ANYTHING = /(?:)/y;

export const BUSINESS_SERVICES: readonly Detector[] = [
  runToken('stripe-key', ['sk_live_', 'rk_live_', 'sk_test_', 'rk_test_', 'sk_prod_', 'rk_prod_'], 'A-Za-z0-9', 16),
  runToken('stripe-webhook-secret', ['whsec_'], 'A-Za-z0-9+/=%', 24),
  runToken('shopify-token', ['shpat_', 'shpca_', 'shppa_', 'shpss_'], 'a-fA-F0-9', 32),
  runToken('square-token', ['sq0atp-', 'sq0csp-'], 'A-Za-z0-9_-', 22),
  runToken('square-token', ['EAAA'], 'A-Za-z0-9_-', 60, 'word'),
  shapedToken(
    'braintree-token',
    ['access_token$production$', 'access_token$sandbox$', 'access_token%24production%24', 'access_token%24sandbox%24'],
    /[a-z0-9]{16}(?:\$|%24)[a-f0-9]{32}/y,
  ),
  runToken('paypal-token', ['A21AA'], 'A-Za-z0-9_-', 50, 'word'),
  shapedToken(
    'plaid-token',
    ['access-sandbox-', 'access-development-', 'access-production-'],
    /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/y,
  ),
  runToken('facebook-token', ['EAA'], 'A-Za-z0-9', 100, 'word'),
  runToken(
    'slack-token',
    ['xoxa-', 'xoxb-', 'xoxp-', 'xoxr-', 'xoxs-', 'xoxe-', 'xoxo-', 'xoxd-', 'xoxc-', 'xoxe.', 'xapp-'],
    'A-Za-z0-9.%-',
    16,
  ),
  markedToken('telegram-token', [':AA', '%3AAA'], /\d{8,12}$/, /[A-Za-z0-9_-]{32}[A-Za-z0-9_-]{0,4}/y),
  DISCORD_TOKEN,
  SENDGRID_KEY,
  // `SK` and 32 hex digits could be anything.
  nearToken('twilio-key', ['SK'], /[0-9a-f]{32}/y, /twilio/i),
  namedToken('twilio-key', ['TWILIO_AUTH_TOKEN', 'twilio_auth_token', 'twilioAuthToken'], '0-9a-f', 32),
  nearToken('mailgun-key', ['key-'], /[0-9a-f]{32}/y, /mailgun/i),
  markedToken('mailchimp-key', ['-us'], /[0-9a-f]{32}$/, /[1-9]/y),
  shapedToken('brevo-key', ['xkeysib-'], /[a-f0-9]{64}-[A-Za-z0-9]{16}/y),
  runToken('typeform-token', ['tfp_'], 'A-Za-z0-9_.=-', 40),
  shapedToken('shippo-token', ['shippo_live_', 'shippo_test_'], /[a-fA-F0-9]{40}/y),
  runToken('easypost-key', ['EZAK', 'EZTK'], 'A-Za-z0-9', 54, 'word'),
  runToken('duffel-token', ['duffel_test_', 'duffel_live_'], 'A-Za-z0-9_=-', 43),
  runToken('flutterwave-key', ['FLWSECK-', 'FLWSECK_TEST-'], 'A-Za-z0-9-', 12),
  runToken('dropbox-token', ['sl.'], 'A-Za-z0-9_.=-', 130, 'word'),
  shapedToken('mapbox-token', ['sk.eyJ'], /[A-Za-z0-9_-]{40,200}\.[A-Za-z0-9_-]{20}/y, 'word'),
  markedToken('maxmind-key', ['_mmk'], /[A-Za-z0-9]{6}_[A-Za-z0-9]{29}$/, ANYTHING),
];
