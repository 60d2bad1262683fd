import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/redact/redact.ts';

const redactor = createRedactor();
const shown = (name: string, value: unknown): unknown => (redactor.redact({ [name]: value }).shown as Record<string, unknown>)[name];
const HIDDEN = '[redacted:key-name]';

describe('names that mean a secret', () => {
  const names = listed(`
    password Password PASSWORD passwd passphrase passcode userPassword db_password DB-PASSWORD dbpassword newPassword password2 password_confirmation
    passwordConfirm password_hash old_password secret client_secret clientSecret clientsecret CLIENT_SECRET secrets app.secret webhookSecret secretValue
    token Token access_token accessToken accesstoken auth_token refresh-token idToken id_token bot_token GITHUB_TOKEN csrf_token x-amz-security-token
    access_tokens refreshTokens api_key apiKey apikey API_KEY OPENAI_API_KEY OPENAI_API_KEY_PROD x-api-key X-API-Key api_keys private_key privateKey
    secret_key secretAccessKey secret_access_key access_key encryption_key signingKey service_role_key session_key authorization Authorization
    Proxy-Authorization authorization_code cookie cookies Cookie Set-Cookie credential credentials aws_credentials jwt otp totp_secret cvv cvv2 CVC
    seed_phrase recovery_codes mnemonic smtp_pass DB_PASS dbPwd user_pwd pass pwd PHPSESSID bearer ｐａｓｓｗｏｒｄ

    spring.datasource.password spring.datasource.hikari.password hibernate.connection.password javax.net.ssl.keyStorePassword quarkus.datasource.password
    server.ssl.key-store-password storePassword keyPassword trust_store_password ConnectionStrings.Password database.default.password TYPEORM_PASSWORD
    sequelize.password prisma.datasource.password PGPASSWORD MYSQL_PWD MYSQL_ROOT_PASSWORD POSTGRES_PASSWORD MONGO_INITDB_ROOT_PASSWORD REDIS_PASSWORD
    REDISCLI_AUTH SSHPASS VNC_PASSWD ANSIBLE_VAULT_PASSWORD LDAP_BIND_PASSWORD SMTP_PASSWORD MAIL_PASSWORD EMAIL_HOST_PASSWORD RABBITMQ_DEFAULT_PASS
    SECRET_KEY_BASE secretKeyBase DJANGO_SECRET_KEY RAILS_MASTER_KEY APP_KEY APP_SECRET NEXTAUTH_SECRET AUTH_SECRET JWT_SECRET JWT_SECRET_KEY jwtSecret SESSION_SECRET
    sessionSecret COOKIE_SECRET cookieSecret HASURA_GRAPHQL_ADMIN_SECRET HASURA_GRAPHQL_JWT_SECRET password_pepper

    AWS_SECRET_ACCESS_KEY aws.secretAccessKey AWS_SESSION_TOKEN awsSessionToken aws_security_token AWS_BEARER_TOKEN_BEDROCK accessKeySecret
    AZURE_CLIENT_SECRET AZURE_STORAGE_KEY AZURE_STORAGE_ACCOUNT_KEY accountKey sas_token sharedAccessKey sharedAccessSignature Ocp-Apim-Subscription-Key x-functions-key
    GOOGLE_CLIENT_SECRET GCP_PRIVATE_KEY private_key_pem serviceAccountPrivateKey FIREBASE_TOKEN FCM_SERVER_KEY GEMINI_API_KEY client-key-data
    ALIBABA_CLOUD_ACCESS_KEY_SECRET DO_API_TOKEN HCLOUD_TOKEN LINODE_TOKEN VAULT_TOKEN VAULT_UNSEAL_KEY unseal_keys TF_VAR_db_password TFE_TOKEN CONSUL_HTTP_TOKEN NOMAD_TOKEN

    GITHUB_PAT GH_TOKEN GITLAB_PAT CI_JOB_TOKEN CI_REGISTRY_PASSWORD CI_DEPLOY_PASSWORD ACTIONS_RUNTIME_TOKEN ACTIONS_ID_TOKEN_REQUEST_TOKEN SYSTEM_ACCESSTOKEN
    CIRCLE_TOKEN CODECOV_TOKEN SONAR_TOKEN NPM_TOKEN NODE_AUTH_TOKEN _authToken //npm.example/:_authToken TWINE_PASSWORD CARGO_REGISTRY_TOKEN NUGET_API_KEY
    DOCKER_PASSWORD DOCKER_AUTH_TOKEN HOMEBREW_GITHUB_API_TOKEN deploy_key personal_access_token personalAccessToken BITBUCKET_APP_PASSWORD

    OPENAI_KEY ANTHROPIC_API_KEY HF_TOKEN STRIPE_KEY STRIPE_SECRET_KEY stripeWebhookSecret SENDGRID_API_KEY TWILIO_AUTH_TOKEN SLACK_BOT_TOKEN SLACK_SIGNING_SECRET
    TELEGRAM_BOT_TOKEN DISCORD_TOKEN consumer_secret oauth_token_secret oauthVerifier code_verifier client_assertion SAMLResponse DD_API_KEY DD_APP_KEY
    NEW_RELIC_LICENSE_KEY licenseKey ALGOLIA_ADMIN_KEY PAGERDUTY_INTEGRATION_KEY B2_APPLICATION_KEY SENTRY_AUTH_TOKEN ingestKey

    X-Auth-Token X-Auth-Key X-Vault-Token X-Access-Token X-GitHub-Token X-CSRF-Token X-XSRF-TOKEN csrfmiddlewaretoken X-Shopify-Access-Token X-Goog-Api-Key
    X-Plex-Token X-Figma-Token X-Postmark-Server-Token X-Client-Secret Api-Key X-Redmine-API-Key X-Algolia-API-Key PRIVATE-TOKEN JOB-TOKEN X-Api-Secret x-session-token

    authtoken authkey apitoken bottoken encryptionkey masterKey hmac_key hmacSecret aesKey cipher_key sharedSecret shared_key wrappingKey walletSeed
    two_factor_code mfaCode verification_code security_code cardSecurityCode sms_code device_code login_code backupCodes card_pin simPin pass_phrase
    card_number cardNumber creditCardNumber cc_number connect.sid ASP.NET_SessionId token_v2 API_KEY_1 api_key_b64 secret_base64 SecretString SecretBinary token_data
    credentialsPrimary api_key_secondary passwordDigest password_encrypted
    Passwort kennwort datenbankPasswort motDePasse mot_de_passe contraseña contrasena senha wachtwoord hasło lösenord salasana heslo пароль 密码 パスワード 비밀번호`);

  it.each(names)('%s', (name) => {
    expect(shown(name, 'hunter two')).toBe(HIDDEN);
    expect(redactor.redact([{ [name]: 'x' }]).findings).toEqual([{ kind: 'key-name', pointer: `/0/${name.replaceAll('/', '~1')}` }]);
  });

  it('are at least 150', () => expect(names.length).toBeGreaterThanOrEqual(150));
});

describe('names that only look like one', () => {
  const names = listed(`
    tokens tokens_used max_tokens maxTokens token_count tokenCount total_tokens prompt_tokens token_type tokenizer tokenize token_limit token_id
    next_token nextToken page_token nextPageToken continuation_token sync_token progressToken stop_token eos_token pad_token cancellation_token
    author authored_by authors authority authorized authorization_url authorization_endpoint auth_method auth oauth authentication
    password_policy_url password_length password_policy passwordless password_field password_reset_url secretary secretariat secret_name secret_id
    secret_arn secretsmanager key keys key_name primary_key foreign_key public_key publicKey sort_key partition_key cache_key idempotency_key
    access_key_id api_key_id api_key_name private_key_path cookie_name cookie_policy cookie_consent cookies_policy session_id sessionId session
    credential_id credential_type credentials_file bypass compass passage passing passenger passed encompass keyboard monkey turkey hockey
    code zip_code status_code country_code language_code error_code passport header headers phrase signature hash description path query url
    pin card certificate fingerprint username user email constructor toString

    input_tokens outputTokens cached_tokens reasoning_tokens tokens_per_second tokenBudget tokens_remaining token_usage num_tokens avg_tokens completion_tokens_details
    token_uri token_endpoint tokenUrl token_expires_at tokenExpiry token_ttl token_name token_prefix token_address tokenSymbol base_token quoteToken rewardToken nft_token
    pageToken startingToken nextContinuationToken resume_token bookmarkToken mask_token sep_token unk_token bosToken lexer_token whitespaceToken design_token colorToken
    key_id keyId kid keyCode keyCodes keydown keypress keyframes keyword keywords keyspace keystroke keystone hotkey turnkey whiskey jockey donkey
    key_path key_file keyFile ssl_key_file key_size key_length key_type keyType key_alias key_arn key_ring keyring keychain keystore key_vault_name key_usage
    ssh_public_key ssh_keys host_key hostKeyChecking publishable_key anon_key site_key siteKey storage_key storageKey routing_key routingKey group_key map_key record_key row_key
    message_key object_key unique_key composite_key translation_key i18n_key react_key root_key server_key lookup_key hash_key range_key consumer_key write_key
    api_version api_url apiBase api_key_header api_key_prefix apiKeyRequired api_keys_enabled
    secret_manager secretRef secretKeyRef secret_key_ref secretName secret_version secret_count secretsPath imagePullSecrets secret_scanning client_secret_expires_at
    password_hint password_strength passwordMinLength password_expired password_changed_at passwordAuthentication password_salt min_password_length passwordRequired
    passport_number passthrough pass_rate passRate passCount pass_through passive passes passenger_name by_pass compassion password_manager
    authoring authorId author_name authorEmail authored authorship authorities authorizer auth_type authMode auth_enabled auth_url authMethod authProvider authFlow
    authorization_type authorizationUrl authorization_server authentication_type www_authenticate unauthorized
    cookie_domain cookieMaxAge cookie_path cookieSecure sameSite cookieParser cookies_enabled cookie_banner
    credential_provider credentialsProvider credentials_path credentialType credential_name
    certificate_path cert_file cert_pem ca_cert ca_bundle public_pem csrf csrf_enabled xsrf_header_name jwt_audience jwtIssuer jwt_algorithm jwks_uri jwks
    session_name session_timeout sessionCount session_type user_id userId account_id account_name account_number order_number phone_number serial_number build_number
    client_id clientId tenant_id app_id application_id project_id resource_id consumer_id access_level access_type accessMode access_log access_policy access_control
    postal_code zipCode currency_code statusCode exit_code source_code color_code qr_code discount_code confirmation_code user_code invite_code barcode encode decode unicode
    phrase_id paraphrase catchphrase search_phrase seed random_seed seeds reseed card_type card_brand cardHolder cardExpiry last4 pinned pinterest shipping spin pin_code pincode
    nonce salt iv state scope ticket grant grant_type code_challenge signature_version signature_algorithm x-hub-signature-256 etag checksum digest integrity
    otp_enabled otp_type totp_issuer mfa_enabled mfaRequired bearer_format bearerOnly mnemonic_length pepper_sauce path_pattern patient pattern patch sidebar inside number
    response saml_enabled saml_idp verifier_id assertion_count`);

  it.each(names)('%s', (name) => {
    expect(shown(name, 'plain')).toBe('plain');
    expect(shown(name, 7)).toBe(7);
  });

  it('are at least 150', () => expect(names.length).toBeGreaterThanOrEqual(150));
});

describe('a name means the same however it is written', () => {
  const spellings: readonly ((words: readonly string[]) => string)[] = [
    (words) => words.join('_'),
    (words) => words.join('-'),
    (words) => words.join('.'),
    (words) => words.join(' '),
    (words) => words.join('_').toUpperCase(),
    (words) => words.join('-').toUpperCase(),
    (words) => words.map((word, i) => (i === 0 ? word : capital(word))).join(''),
    (words) => words.map(capital).join(''),
    (words) => `x-${words.join('-')}`,
    (words) => `X-${words.map(capital).join('-')}`,
    (words) => `myApp.${words.join('_')}`,
    (words) => `${words.join('_')}_2`,
    (words) => `${words.map((word, i) => (i === 0 ? word : capital(word))).join('')}Prod`,
    (words) => `TF_VAR_${words.join('_')}`,
    (words) => `service[0].${words.join('-')}`,
  ];
  const secrets = [
    'db password',
    'api key',
    'client secret',
    'access token',
    'private key',
    'secret access key',
    'signing secret',
    'refresh token',
    'session secret',
    'encryption key',
    'bot token',
    'master key',
  ];
  const plain = [
    'token count',
    'next page token',
    'public key',
    'key id',
    'author name',
    'cache key',
    'password policy',
    'secret name',
    'access key id',
    'cookie domain',
    'status code',
    'primary key',
  ];

  it.each(secrets)('%s is a secret', (name) => {
    for (const spell of spellings) expect(shown(spell(name.split(' ')), 'hunter two'), spell(name.split(' '))).toBe(HIDDEN);
  });

  it.each(plain)('%s is none', (name) => {
    for (const spell of spellings) expect(shown(spell(name.split(' ')), 'plain'), spell(name.split(' '))).toBe('plain');
  });
});

function listed(names: string): readonly string[] {
  return [...new Set(names.trim().split(/\s+/))];
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

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
    ['ccnum', '4111111111111111'],
    ['customerCcnum', '4111 1111 1111 1111'],
    ['card', '4111 1111 1111 1111'],
    ['creditCard', 4111111111111111],
    ['PAN', '4111-1111-1111-1111'],
    ['auth', 'dXNlcjpodW50ZXIy'],
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
    ['card', 'visa'],
    ['card', '4242'],
    ['credit_card', { brand: 'visa', last4: '4242' }],
    ['auth', 'basic'],
    ['auth', 'c29tZSB3b3Jkcw=='],
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
