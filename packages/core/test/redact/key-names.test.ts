import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/redact/redact.ts';

const redactor = createRedactor();
const shown = (name: string, value: unknown): unknown => (redactor.redact({ [name]: value }).shown as Record<string, unknown>)[name];
const HIDDEN = '[redacted:key-name]';

describe('names that mean a secret', () => {
  it.each(
    `password Password PASSWORD passwd passphrase passcode userPassword db_password DB-PASSWORD dbpassword newPassword password2 password_confirmation
     passwordConfirm password_hash old_password secret client_secret clientSecret clientsecret CLIENT_SECRET secrets app.secret webhookSecret secretValue
     token Token access_token accessToken accesstoken auth_token refresh-token idToken id_token bot_token GITHUB_TOKEN csrf_token x-amz-security-token
     access_tokens refreshTokens api_key apiKey apikey API_KEY OPENAI_API_KEY OPENAI_API_KEY_PROD x-api-key X-API-Key api_keys private_key privateKey
     secret_key secretAccessKey secret_access_key access_key encryption_key signingKey service_role_key session_key authorization Authorization
     Proxy-Authorization authorization_code cookie cookies Cookie Set-Cookie credential credentials aws_credentials jwt otp totp_secret cvv cvv2 CVC
     seed_phrase recovery_codes mnemonic smtp_pass DB_PASS dbPwd user_pwd pass pwd PHPSESSID bearer ｐａｓｓｗｏｒｄ`.split(/\s+/),
  )('%s', (name) => {
    expect(shown(name, 'hunter two')).toBe(HIDDEN);
    expect(redactor.redact([{ [name]: 'x' }]).findings).toEqual([{ kind: 'key-name', pointer: `/0/${name}` }]);
  });
});

describe('names that only look like one', () => {
  it.each(
    `tokens tokens_used max_tokens maxTokens token_count tokenCount total_tokens prompt_tokens token_type tokenizer tokenize token_limit token_id
     next_token nextToken page_token nextPageToken continuation_token sync_token progressToken stop_token eos_token pad_token cancellation_token
     author authored_by authors authority authorized authorization_url authorization_endpoint auth_method auth oauth authentication
     password_policy_url password_length password_policy passwordless password_field password_reset_url secretary secretariat secret_name secret_id
     secret_arn secretsmanager key keys key_name primary_key foreign_key public_key publicKey sort_key partition_key cache_key idempotency_key
     access_key_id api_key_id api_key_name private_key_path cookie_name cookie_policy cookie_consent cookies_policy session_id sessionId session
     credential_id credential_type credentials_file bypass compass passage passing passenger passed encompass keyboard monkey turkey hockey
     code zip_code status_code country_code language_code error_code passport header headers phrase signature hash description path query url
     pin card certificate fingerprint username user email constructor toString`.split(/\s+/),
  )('%s', (name) => {
    expect(shown(name, 'plain')).toBe('plain');
    expect(shown(name, 7)).toBe(7);
  });
});

describe('the value under a secret name', () => {
  it.each<[string, unknown]>([
    ['token', 123456],
    ['password', 'two words'],
    ['credentials', { user: 'bob', password: 'x' }],
    ['secrets', ['a', 'b']],
    ['authorization', { deep: [{ deeper: 1 }] }],
    ['private_key', new Uint8Array(32)],
    ['cookies', new Map([['a', 'b']])],
    ['token', new Date(0)],
  ])('%s: %j is hidden whole', (name, value) => {
    expect(shown(name, value)).toBe(HIDDEN);
  });

  it.each<[string, unknown]>([
    ['token', true],
    ['password', null],
    ['secret', false],
    ['password', ''],
    ['credentials', {}],
    ['cookies', []],
    ['credentials', { required: true, other: null }],
    ['credentials', 'same-origin'],
    ['credentials', 'include'],
    ['password', HIDDEN],
    ['password', '[redacted:jwt]'],
    ['pass', 12],
    ['PWD', '/home/bob'],
    ['pwd', 'C:\\Users\\bob'],
    ['pwd', '~/x'],
  ])('%s: %j stays', (name, value) => {
    expect(shown(name, value)).toEqual(value);
  });

  it('is also found beside its name', () => {
    const value = [
      { name: 'X-Api-Key', value: 'abc' },
      { key: 'DB_PASSWORD', value: 'abc' },
      { name: 'Accept', value: 'text/html' },
      { name: 'password', type: 'string' },
    ];
    expect(redactor.redact(value).shown).toEqual([
      { name: 'X-Api-Key', value: HIDDEN },
      { key: 'DB_PASSWORD', value: HIDDEN },
      { name: 'Accept', value: 'text/html' },
      { name: 'password', type: 'string' },
    ]);
  });
});
