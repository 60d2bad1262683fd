/** Containers, clusters and infrastructure. */
import { type Field, isHidden, isKnown, SPLIT, UNKNOWN } from '../field.ts';
import { mentionPaths } from '../mentions.ts';
import { isVital, segmentsOf } from '../places.ts';
import { type Call, type Handler, has, parseOptions, runCode, runInside, valuesOf } from './call.ts';

const DOCKER_GLOBAL = {
  short: 'Hlc',
  long: ['config', 'context', 'host', 'log-level', 'file', 'project-name', 'profile', 'env-file', 'project-directory'],
  stops: true,
};
const RUN = {
  short: 'aceuvwpmlh',
  long: 'add-host annotation attach cap-add cap-drop cgroup-parent cidfile cpus cpu-shares cpuset-cpus device dns entrypoint env env-file expose gpus group-add health-cmd hostname ip ipc isolation label link log-driver log-opt mac-address memory memory-swap mount name net network network-alias pid pids-limit platform publish pull restart runtime security-opt shm-size stop-signal storage-opt sysctl tmpfs ulimit user userns uts volume volume-driver volumes-from workdir'.split(
    ' ',
  ),
  stops: true,
};
const EXEC = { short: 'euw', long: ['env', 'env-file', 'user', 'workdir', 'detach-keys', 'index'], stops: true };

const docker: Handler = (call) => {
  const options = parseOptions(call.args, DOCKER_GLOBAL);
  if (options.hidden && options.operands.length === 0) call.context.recorder.undecided('argument');
  dockerVerb(options.operands, call);
};

const MANAGES: ReadonlySet<string> = new Set([
  'container',
  'image',
  'volume',
  'network',
  'system',
  'builder',
  'buildx',
  'compose',
  'stack',
  'service',
  'swarm',
  'node',
  'secret',
  'config',
  'context',
  'plugin',
  'manifest',
  'trust',
  'pod',
  'machine',
]);

function dockerVerb(words: readonly Field[], call: Call): void {
  const { recorder } = call.context;
  const [verb = '', ...rest] = words;
  if (!isKnown(verb)) {
    recorder.undecided('argument');
    return;
  }
  if (verb === 'compose') {
    dockerVerb(parseOptions(rest, DOCKER_GLOBAL).operands, call);
    return;
  }
  if (MANAGES.has(verb)) {
    const [inner = ''] = rest;
    if (inner === 'prune' || inner === 'rm' || inner === 'remove' || inner === 'leave') recorder.find('destructive');
    if (inner === 'run' || inner === 'exec' || inner === 'create' || inner === 'push' || inner === 'pull') dockerVerb(rest, call);
    return;
  }
  switch (verb) {
    case 'run':
    case 'create':
      run(rest, call);
      return;
    case 'exec': {
      const options = parseOptions(rest, EXEC);
      if (has(options, 'privileged')) recorder.find('privileged');
      if (options.hidden && options.operands.length === 0) recorder.undecided('argument');
      runInside(options.operands.slice(1), call);
      return;
    }
    case 'rm':
    case 'rmi':
    case 'kill':
      recorder.find('destructive');
      return;
    case 'down': {
      const options = parseOptions(rest);
      if (has(options, 'v', 'volumes', 'rmi')) recorder.find('destructive');
      if (options.hidden) recorder.undecided('argument');
      return;
    }
    case 'push':
    case 'pull':
    case 'login':
    case 'search':
      recorder.find('network');
      return;
    case 'cp':
      mentionPaths(
        rest.map((word) => word.slice(word.indexOf(':') + 1)),
        call.context,
      );
      return;
    case 'inspect':
    case 'config':
      return;
    default:
      mentionPaths(rest, call.context);
  }
}

function run(words: readonly Field[], call: Call): void {
  const { recorder, state } = call.context;
  const options = parseOptions(words, RUN);
  if (has(options, 'privileged', 'cap-add', 'device', 'device-cgroup-rule', 'security-opt')) recorder.find('privileged');
  for (const value of valuesOf(options, 'pid', 'ipc', 'userns', 'uts', 'net', 'network', 'cgroupns'))
    if (value === 'host') recorder.find('privileged');
  for (const volume of [...valuesOf(options, 'v', 'volume'), ...valuesOf(options, 'mount').flatMap(sourceOf)]) {
    const [source = ''] = volume.split(':');
    if (isVital(segmentsOf(source)) && (source.startsWith('/') || source.startsWith('~'))) recorder.find('privileged');
    if (source.includes('/') || source.startsWith('~') || source.startsWith('.')) recorder.path('mention', source, state.places);
    if (source.endsWith('docker.sock')) recorder.find('privileged');
    if (isHidden(source)) recorder.undecided('argument');
  }
  const [image, ...command] = options.operands;
  if (image === undefined && options.hidden) recorder.undecided('argument');
  if (options.names.some((name) => name.includes(UNKNOWN) || name.includes(SPLIT)) || (image !== undefined && image.startsWith(SPLIT)))
    recorder.undecided('argument');
  const entry = valuesOf(options, 'entrypoint')[0];
  runInside(entry === undefined ? command : [entry, ...command], call);
}

function sourceOf(mount: Field): readonly Field[] {
  return mount
    .split(',')
    .filter((part) => part.startsWith('source=') || part.startsWith('src='))
    .map((part) => part.slice(part.indexOf('=') + 1));
}

const KUBE = {
  short: 'nfloskcLp',
  long: 'namespace context kubeconfig cluster user server token as filename selector output container image replicas field-selector sort-by since tail request-timeout timeout patch type overrides env port from-literal from-file from-env-file dry-run'.split(
    ' ',
  ),
};
const KUBE_DESTROYS: ReadonlySet<string> = new Set(['delete', 'drain', 'replace', 'taint', 'cordon', 'evict']);
const KUBE_CHANGES: ReadonlySet<string> = new Set([
  'apply',
  'create',
  'patch',
  'scale',
  'edit',
  'set',
  'label',
  'annotate',
  'rollout',
  'expose',
  'autoscale',
  'run',
  'attach',
  'port-forward',
  'proxy',
  'cp',
  'debug',
]);

const kubectl: Handler = (call) => {
  const { recorder } = call.context;
  const dashes = call.args.indexOf('--');
  const before = dashes < 0 ? call.args : call.args.slice(0, dashes);
  const options = parseOptions(before, KUBE);
  const [verb = '', second = ''] = options.operands;
  recorder.find('network');
  if (!isKnown(verb)) recorder.undecided('argument');
  if (KUBE_DESTROYS.has(verb)) recorder.find('destructive');
  if (options.hidden && (KUBE_CHANGES.has(verb) || KUBE_DESTROYS.has(verb))) recorder.undecided('argument');
  if (verb === 'scale' && valuesOf(options, 'replicas').includes('0')) recorder.find('destructive');
  if (verb === 'exec' || verb === 'run' || verb === 'debug') {
    if (dashes >= 0) runInside(call.args.slice(dashes + 1), call);
    else if (verb === 'exec') runInside(options.operands.slice(2), call);
    if (has(options, 'overrides', 'privileged') || verb === 'debug') recorder.find('privileged');
  }
  if (verb === 'get' && second.split(',').some((kind) => kind.startsWith('secret'))) recorder.find('credentials');
  if (verb === 'config' && has(options, 'raw')) recorder.find('credentials');
  if (verb === 'create' && second === 'token') recorder.find('credentials');
  for (const file of valuesOf(options, 'f', 'filename'))
    if (file !== '-' && !file.includes('://')) recorder.path('read', file, call.context.state.places);
  mentionPaths(options.operands, call.context);
};

const helm: Handler = (call) => {
  call.context.recorder.find('network');
  const [verb = ''] = parseOptions(call.args, { short: 'nf', long: ['namespace', 'kube-context', 'kubeconfig', 'values', 'set'] }).operands;
  if (verb === 'uninstall' || verb === 'delete' || verb === 'rollback' || verb === 'un' || verb === 'del')
    call.context.recorder.find('destructive');
  if (call.args.some((arg) => arg.startsWith('--post-renderer'))) call.context.recorder.undecided('code');
  if (!isKnown(verb)) call.context.recorder.undecided('argument');
  mentionPaths(call.args, call.context);
};

const terraform: Handler = (call) => {
  const { recorder } = call.context;
  const words = call.args.filter((arg) => !arg.startsWith('-'));
  const [verb = '', second = ''] = words;
  recorder.find('network');
  if (!isKnown(verb) || call.args.some((arg) => isHidden(arg) && (arg.startsWith(UNKNOWN) || arg.includes(SPLIT))))
    recorder.undecided('argument');
  if (
    verb === 'destroy' ||
    call.args.some((arg) => arg === '-destroy' || arg === '--destroy') ||
    verb === 'taint' ||
    verb === 'force-unlock'
  )
    recorder.find('destructive');
  if (verb === 'apply' && call.args.some((arg) => arg.replaceAll('-', '') === 'autoapprove')) recorder.find('destructive');
  if (verb === 'state' && ['rm', 'push', 'mv', 'replace-provider'].includes(second)) recorder.find('destructive');
  if (verb === 'workspace' && second === 'delete') recorder.find('destructive');
  if (verb === 'run-all' && second === 'destroy') recorder.find('destructive');
  if (verb === 'console') recorder.undecided('code');
  mentionPaths(call.args, call.context);
};

/** Command lines of clouds: a verb that says so removes. */
const REMOVES: readonly string[] = [
  'delete',
  'destroy',
  'terminate',
  'remove',
  'purge',
  'rm',
  'rb',
  'deregister',
  'drop',
  'wipe',
  'nuke',
  'unpublish',
  'down',
  'rollback',
  'cancel',
  'revoke',
  'detach',
  'disable',
];
const cloud: Handler = (call) => {
  const { recorder } = call.context;
  recorder.find('network');
  const text = call.args.join(' ');
  const words = call.args.filter((arg) => !arg.startsWith('-'));
  for (const word of words.slice(0, 4)) {
    const [verb = ''] = word.split(/[-:]/);
    if (REMOVES.includes(verb) || word.endsWith(':destroy') || word.endsWith(':delete') || word.endsWith(':remove'))
      recorder.find('destructive');
    if (!isKnown(word)) recorder.undecided('argument');
  }
  if (call.args.some((arg) => arg === '--delete' || arg === '--force' || arg === '--yes-delete') && text.includes('sync'))
    recorder.find('destructive');
  if (call.name === 'rclone' && ['sync', 'move', 'moveto', 'cleanup', 'deletefile', 'rmdirs'].includes(words[0] ?? ''))
    recorder.find('destructive');
  if (call.name === 'gh') github(call);
  if (word(words, 'pg:reset') || word(words, 'db:reset') || word(words, 'db', 'reset')) recorder.find('destructive');
  if (call.name === 'ansible')
    for (const code of valuesOf(parseOptions(call.args, { short: 'aimuftlMe', long: ['args'] }), 'a', 'args')) runCode(code, call);
  if (CLOUD_SECRETS.some((word) => text.includes(word))) recorder.find('credentials');
  mentionPaths(call.args, call.context);
};
const CLOUD_SECRETS: readonly string[] = [
  'secretsmanager',
  'get-secret',
  'print-access-token',
  'print-identity-token',
  'auth token',
  'get-parameter',
  'get-session-token',
  'get-login-password',
  'secrets versions access',
  'keyvault secret show',
  'export-credentials',
  'configure get',
  'get-access-token',
  'config:get',
  'secrets list',
  'auth status -t',
  'assume-role',
  'create-access-key',
  'configure export',
  'env pull',
  'config -s',
];

/** `gh api` speaks to all of GitHub, and an alias that starts with `!` is a line for a shell. */
function github(call: Call): void {
  const { recorder } = call.context;
  const options = parseOptions(call.args, {
    short: 'XHfFqtRp',
    long: ['method', 'header', 'field', 'raw-field', 'jq', 'template', 'repo'],
  });
  const [first = '', second = '', , code] = options.operands;
  if (first === 'api') {
    if (valuesOf(options, 'X', 'method').some((method) => !isKnown(method) || method.toUpperCase() === 'DELETE'))
      recorder.find('destructive');
  } else if (first === 'alias' && (second === 'set' || second === 'import')) {
    if (code === undefined || code.startsWith('!') || has(options, 's', 'shell')) recorder.undecided('alias');
  }
}

/** These words, one after the other. */
function word(words: readonly Field[], ...wanted: readonly string[]): boolean {
  return words.some((_, at) => wanted.every((one, i) => words[at + i] === one));
}

const CLOUDS =
  'aws gcloud gsutil az bq doctl oci ibmcloud heroku vercel netlify fly flyctl wrangler firebase pulumi cdk serverless sls sam eb eksctl gh glab hub s3cmd rclone linode-cli supabase railway render turso neonctl ansible ansible-playbook'.split(
    ' ',
  );

const vagrant: Handler = (call) => {
  if (call.args.includes('destroy')) call.context.recorder.find('destructive');
  const at = call.args.findIndex((arg) => arg === '-c' || arg === '--command');
  if (at >= 0) call.context.engine.runText(call.args[at + 1] ?? '', call.context);
};

export const CONTAINERS: readonly (readonly [string, Handler])[] = [
  ...['docker', 'podman', 'nerdctl', 'docker-compose', 'podman-compose', 'finch'].map((name): readonly [string, Handler] => [name, docker]),
  ...['kubectl', 'oc', 'k3s', 'microk8s', 'k'].map((name): readonly [string, Handler] => [name, kubectl]),
  ...['terraform', 'tofu', 'terragrunt', 'tf'].map((name): readonly [string, Handler] => [name, terraform]),
  ...CLOUDS.map((name): readonly [string, Handler] => [name, cloud]),
  ['helm', helm],
  ['vagrant', vagrant],
];
