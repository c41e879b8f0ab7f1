import { hostname } from 'node:os';
import { readSection } from './protocol/config-file.js';
import type { LogLevel } from './protocol/log.js';
import type { HostSettings } from './protocol/messages.js';
import { OBJECT_KINDS } from './protocol/objects.js';

/** The controller's configuration: section `controller` of /etc/maru/maru.yaml, completed with defaults. */
export interface Config {
  /** What this controller is called where several are listed. */
  readonly name: string;
  /** Directory of keys, images and the SQLite database. */
  readonly state_dir: string;
  /** `sqlite:FILE` or `postgres://…`. */
  readonly database: string;
  /** Address of the OpenStack APIs. */
  readonly listen: string;
  /** What the catalogue's URLs begin with, as clients reach the API. */
  readonly public_url: string;
  /** Address that agents connect to (mutual TLS). */
  readonly agent_listen: string;
  /** Names and addresses that the agent listener's certificate is valid for. */
  readonly agent_names: readonly string[];
  readonly region: string;
  readonly log_level: LogLevel;
  /** File with the administrator's first password; made (0600) when it does not exist. */
  readonly admin_password_file: string;
  /** Where uploaded images are kept. */
  readonly image_dir: string;
  /** Aliases of provider networks, e.g. ["extnet"], that administrators may use. */
  readonly physical_networks: readonly string[];
  /** Range of VXLAN network identifiers for tenant networks, inclusive. */
  readonly vni_range: readonly [number, number];
  /** MTU of the network between hosts. */
  readonly underlay_mtu: number;
  /** MTU of provider networks. */
  readonly provider_mtu: number;
  /** Seconds without a heartbeat after which a host counts as down. */
  readonly host_down_after: number;
  /**
   * Seconds that a host must have been down, beyond `host_down_after`, before its routers go to other hosts. They go only when
   * hosts of their networks find that nobody answers for their addresses.
   */
  readonly router_failover_delay: number;
  /** Seconds after which a build that has not succeeded becomes an ERROR. */
  readonly build_timeout: number;
  /**
   * What agents do about objects that other hands have changed, per kind (network, dhcp, port, security-group, group-members,
   * router, server, volume): `heal`, the default, or `report`.
   */
  readonly drift: HostSettings['drift'];
  readonly cpu_allocation_ratio: number;
  readonly ram_allocation_ratio: number;
  /** Memory (MB) on each host that guests never get. */
  readonly reserved_host_memory_mb: number;
  readonly token_lifetime_seconds: number;
  /** Policy overrides in oslo.policy's file format (YAML); optional. */
  readonly policy_file: string | null;
  /** Largest upload, and largest disk inside an image, in GiB. */
  readonly max_image_size_gb: number;
  readonly max_virtual_size_gb: number;
}

/** Reads and checks the controller section of a file. Throws with the file, the key and what is wrong with it. */
export function loadConfig(file: string): Config {
  const config = readSection<Config>(file, 'controller', (given) => {
    const state_dir = text(given.state_dir, '/var/lib/maru');
    const listen = text(given.listen, '127.0.0.1:5000');
    return {
      name: hostname(),
      state_dir,
      database: `sqlite:${state_dir}/maru.db`,
      listen,
      public_url: `http://${listen}`,
      agent_listen: '0.0.0.0:5443',
      agent_names: [hostname(), 'localhost', '127.0.0.1'],
      region: 'RegionOne',
      log_level: 'info',
      admin_password_file: `${state_dir}/admin-password`,
      image_dir: `${state_dir}/images`,
      physical_networks: ['extnet'],
      vni_range: [1, 65_535],
      underlay_mtu: 1500,
      provider_mtu: 1500,
      host_down_after: 30,
      router_failover_delay: 0,
      build_timeout: 300,
      drift: {},
      cpu_allocation_ratio: 4,
      ram_allocation_ratio: 1,
      reserved_host_memory_mb: 512,
      token_lifetime_seconds: 3600,
      policy_file: null,
      max_image_size_gb: 256,
      max_virtual_size_gb: 2048,
    };
  });
  checkDriftPolicy(file, config.drift);
  return config;
}

function checkDriftPolicy(file: string, drift: Readonly<Record<string, unknown>>): void {
  for (const [kind, policy] of Object.entries(drift)) {
    if (!(OBJECT_KINDS as readonly string[]).includes(kind)) {
      throw new Error(`${file}: unknown kind 'controller.drift.${kind}' (known: ${OBJECT_KINDS.join(', ')})`);
    }
    if (policy !== 'heal' && policy !== 'report') {
      throw new Error(
        `${file}: 'controller.drift.${kind}' must be heal or report, not ${JSON.stringify(policy)}`,
      );
    }
  }
}

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}
