import { hostname } from 'node:os';
import cron from 'node-cron';
import { IDENTITY_KEYS } from './identity-keys.js';
import { key, type Section, type ValuesOf } from './protocol/config/key.js';
import { loadSection } from './protocol/config/read.js';
import { hasPassword } from './protocol/config/secrets.js';
import {
  type ConfigType,
  existingPath,
  hostNameOrAddress,
  integer,
  listenAddress,
  listOf,
  mapOf,
  number,
  oneOf,
  optional,
  path,
  rangeOf,
  seconds,
  text,
  url,
} from './protocol/config/types.js';
import { LOG_KEYS } from './protocol/log-keys.js';
import type { HostSettings } from './protocol/messages.js';
import { OBJECT_KINDS } from './protocol/objects.js';
import { SECURITY_COMPLIANCE_KEYS } from './security-compliance-keys.js';
import { TRUSTED_PROXIES_KEYS } from './trusted-proxies-keys.js';

const PORTLESS_NAME = text('a name of letters, digits, dots and hyphens', (value) =>
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/.test(value) ? null : 'it has other characters',
);

const MTU = integer({ min: 1280, max: 65_535 });

/** Every key of section `controller`. */
export const CONTROLLER_KEYS = {
  name: key(PORTLESS_NAME, {
    default: () => hostname(),
    defaultWords: "this machine's host name",
    description: 'What this controller is called where several are listed.',
  }),
  state_dir: key(path(), {
    default: '/var/lib/maru',
    description: 'Directory of keys, images and the SQLite database.',
  }),
  database: key(databaseUrl(), {
    default: ({ state_dir }) => `sqlite:${state_dir}/maru.db`,
    defaultWords: 'sqlite:STATE_DIR/maru.db',
    description: 'sqlite:FILE, which serves one controller, or postgres://user@host/database.',
  }),
  database_password: key(optional(text('the password of the database URL’s user')), {
    default: null,
    secret: true,
    description: 'Password for a PostgreSQL database.',
  }),
  listen: key(listenAddress(), {
    default: '127.0.0.1:5000',
    description: 'Where the OpenStack APIs are served.',
  }),
  public_url: key(url('http', 'https'), {
    default: ({ listen, tls_cert_file }) => `${tls_cert_file ? 'https' : 'http'}://${listen}`,
    defaultWords: 'http://LISTEN, https://LISTEN with tls_cert_file',
    description: 'What URLs of the catalogue begin with, as clients reach the APIs.',
  }),
  ...TRUSTED_PROXIES_KEYS,
  tls_cert_file: key(optional(existingPath()), {
    default: null,
    description:
      'Certificate (PEM, with its chain) with which the APIs are served over HTTPS; read again when it or the key changes, and on SIGHUP. Without: plain HTTP.',
  }),
  tls_key_file: key(optional(existingPath()), {
    default: null,
    description: 'Key of tls_cert_file (PEM); the controller’s user must be able to read it.',
  }),
  agent_listen: key(listenAddress(), {
    default: '0.0.0.0:5443',
    description: 'Where agents connect to (mutual TLS).',
  }),
  agent_names: key(listOf(hostNameOrAddress()), {
    default: () => [hostname(), 'localhost', '127.0.0.1'],
    defaultWords: "this machine's host name, localhost and 127.0.0.1",
    description:
      'Names and addresses under which hosts reach agent_listen; its certificate is valid for them.',
  }),
  region: key(text(), { default: 'RegionOne', description: 'Name of the region in the catalogue.' }),
  ...LOG_KEYS,
  admin_password_file: key(path(), {
    default: ({ state_dir }) => `${state_dir}/admin-password`,
    defaultWords: 'STATE_DIR/admin-password',
    description:
      "File with the administrator's first password; made, with mode 0600, when it does not exist.",
  }),
  image_dir: key(path(), {
    default: ({ state_dir }) => `${state_dir}/images`,
    defaultWords: 'STATE_DIR/images',
    description: 'Where uploaded images are kept.',
  }),
  physical_networks: key(
    listOf(
      text('an alias such as extnet', (value) =>
        /^[A-Za-z0-9][\w.-]{0,63}$/.test(value)
          ? null
          : 'letters, digits, dots, hyphens and underscores only',
      ),
    ),
    {
      default: ['extnet'],
      description: 'Aliases of provider networks on which administrators may make networks.',
    },
  ),
  vni_range: key(rangeOf(integer({ min: 1, max: 16_777_215 })), {
    default: [1, 65_535],
    description: "Range of VXLAN network identifiers for tenants' networks, both ends included.",
  }),
  underlay_mtu: key(MTU, { default: 1500, unit: 'bytes', description: 'MTU of the network between hosts.' }),
  overlay_ip_version: key(integer({ min: 4, max: 6 }), {
    default: 4,
    description:
      'IP version of the addresses between which tunnels go (underlay_ip of hosts), 4 or 6: VXLAN needs 50 bytes of underlay_mtu over IPv4, 70 over IPv6.',
  }),
  provider_mtu: key(MTU, { default: 1500, unit: 'bytes', description: 'MTU of provider networks.' }),
  host_down_after: key(seconds({ above: 0, max: 86_400 }), {
    default: 30,
    unit: 'seconds',
    reload: true,
    description: 'Without a heartbeat for so long a host counts as down.',
  }),
  router_failover_delay: key(seconds({ min: 0, max: 86_400 }), {
    default: 0,
    unit: 'seconds',
    reload: true,
    description:
      'How long a host must have been down, beyond host_down_after, before its routers go to other hosts. They go only when ' +
      'hosts of their networks find that nobody answers for their addresses.',
  }),
  build_timeout: key(seconds({ above: 0, max: 86_400 }), {
    default: 300,
    unit: 'seconds',
    reload: true,
    description: 'A server that is not built after so long is in ERROR. Counts for builds that begin later.',
  }),
  drift: key(driftPolicy(), {
    default: {},
    reload: true,
    description:
      `What agents do about objects that other hands have changed, per kind (${OBJECT_KINDS.join(', ')}): heal, or report and ` +
      'leave them. Kinds that are not named are healed.',
  }),
  cpu_allocation_ratio: key(number({ above: 0, max: 64 }), {
    default: 4,
    reload: true,
    description: 'vCPUs given to guests for each hardware thread.',
  }),
  ram_allocation_ratio: key(number({ above: 0, max: 64 }), {
    default: 1,
    reload: true,
    description: 'Memory given to guests for each byte there is.',
  }),
  reserved_host_memory_mb: key(integer({ min: 0 }), {
    default: 512,
    unit: 'MB',
    reload: true,
    description: 'Memory on each host that guests never get.',
  }),
  ...IDENTITY_KEYS,
  ...SECURITY_COMPLIANCE_KEYS,
  housekeeping_schedule: key(
    text("a schedule in cron's notation, such as 17 * * * *", (value) =>
      cron.validate(value) ? null : 'minute, hour, day of the month, month and day of the week are wanted',
    ),
    {
      default: '17 * * * *',
      description:
        "When old tasks, trails, revocations and keys of tokens are put away: cron's notation, by local time. Daily at the least.",
    },
  ),
  trail_days: key(number({ above: 0, max: 36_500 }), {
    default: 90,
    unit: 'days',
    reload: true,
    description: 'How long it is kept what happened to objects (maru trail).',
  }),
  trail_entries: key(integer({ min: 1_000 }), {
    default: 1_000_000,
    reload: true,
    description:
      'How many entries of that are kept in all; the oldest go first. An entry takes some 300 bytes.',
  }),
  audit_retention: key(number({ above: 0, max: 36_500 }), {
    default: 365,
    unit: 'days',
    reload: true,
    description: 'How long it is kept who did what (maru audit).',
  }),
  audit_entries: key(integer({ min: 1_000 }), {
    default: 1_000_000,
    reload: true,
    description:
      'How many records of that are kept in all: the oldest of those with the most go first. Those of what was refused or only ' +
      'gave a token take no more than a quarter. A record takes some 1,000 bytes.',
  }),
  policy_file: key(optional(existingPath()), {
    default: null,
    reload: true,
    description:
      "Overrides of policy rules in oslo.policy's file format (YAML). SIGHUP also reads the file again.",
  }),
  max_image_size_gb: key(number({ above: 0 }), {
    default: 256,
    unit: 'GiB',
    reload: true,
    description: 'Largest upload.',
  }),
  max_virtual_size_gb: key(number({ above: 0 }), {
    default: 2048,
    unit: 'GiB',
    reload: true,
    description: 'Largest disk inside an image.',
  }),
};

/** The controller's configuration: section `controller` of /etc/maru/maru.yaml, completed with defaults. */
export type Config = ValuesOf<typeof CONTROLLER_KEYS>;

export const CONTROLLER_SECTION: Section<typeof CONTROLLER_KEYS> = {
  name: 'controller',
  description: 'What `maru controller` reads.',
  keys: CONTROLLER_KEYS,
  check: (values, complain) => {
    const { database, database_password, tls_cert_file, tls_key_file } = values;
    const { minimum_password_age, password_expires_days } = values;
    if (password_expires_days !== null && minimum_password_age >= password_expires_days) {
      complain('minimum_password_age', 'is not below password_expires_days', 'nobody could change in time');
    }
    if (values.overlay_ip_version === 5) complain('overlay_ip_version', 'is 5', 'there are 4 and 6');
    if ((tls_cert_file === null) !== (tls_key_file === null)) {
      const [there, missing] = tls_cert_file
        ? (['tls_cert_file', 'tls_key_file'] as const)
        : (['tls_key_file', 'tls_cert_file'] as const);
      complain(there, `needs ${missing}`, 'give both or neither');
    }
    if (database_password === null) return;
    if (!/^postgres(ql)?:/.test(database))
      complain('database_password', 'is for PostgreSQL', 'SQLite has none');
    else if (hasPassword(database))
      complain('database_password', 'is given, and the database URL has one', 'keep one');
    else if (!USER_IN_URL.test(database))
      complain(
        'database_password',
        'is given, but the database URL names no user',
        'postgres://user@host/database',
      );
  },
};

/**
 * Reads and checks the controller section of a file; `database` has the password in it. Throws ConfigInvalid with everything that is
 * wrong, each with its line.
 */
export function loadConfig(file: string): Config {
  const config = loadSection(file, CONTROLLER_SECTION);
  return { ...config, database: databaseOf(config) };
}

const USER_IN_URL = /^(postgres(?:ql)?:\/\/[^:@/?#]+)(@)/;

function databaseOf({ database, database_password }: Config): string {
  if (database_password === null) return database;
  const password = encodeURIComponent(database_password);
  return database.replace(USER_IN_URL, (_, user: string, at: string) => `${user}:${password}${at}`);
}

function databaseUrl(): ConfigType<string> {
  return text('sqlite:FILE or postgres://user@host/database', (value) => {
    const [, file] = /^sqlite:(.*)$/.exec(value) ?? [];
    if (file !== undefined) {
      return file.startsWith('/')
        ? null
        : { why: 'the file has no path from the root', hint: 'sqlite:/var/lib/maru/maru.db' };
    }
    if (/^postgres(ql)?:\/\/./.test(value)) return null;
    return value.startsWith('/')
      ? { why: 'it does not say which kind', hint: `did you mean 'sqlite:${value}'?` }
      : 'it is neither';
  });
}

function driftPolicy(): ConfigType<HostSettings['drift']> {
  return mapOf('kinds of objects, each heal or report', oneOf('heal', 'report'), OBJECT_KINDS);
}
