import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { parse } from 'yaml';
import type { LogLevel } from './log.js';

/** The controller's configuration: section `controller` of /etc/maru/maru.yaml, completed with defaults. */
export interface Config {
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
  /** Seconds after which a build that has not succeeded becomes an ERROR. */
  readonly build_timeout: number;
  readonly cpu_allocation_ratio: number;
  readonly ram_allocation_ratio: number;
  /** Memory (MB) on each host that guests never get. */
  readonly reserved_host_memory_mb: number;
  readonly token_lifetime_seconds: number;
  /** Policy overrides in oslo.policy's file format (YAML); optional. */
  readonly policy_file: string | null;
}

/** The agent's configuration: section `agent` of the same file. */
export interface AgentConfig {
  readonly name: string;
  readonly state_dir: string;
  /** URL of the controller's agent listener. */
  readonly controller: string;
  /** Address the agent's own HTTPS listener binds to. */
  readonly listen: string;
  /** Address of this host in the network between hosts: VXLAN endpoint. */
  readonly underlay_ip: string;
  /** Provider network aliases and their bridges, e.g. {extnet: br-ex}. */
  readonly physical_networks: Readonly<Record<string, string>>;
  readonly virt_type: 'auto' | 'kvm' | 'qemu';
  readonly libvirt_uri: string;
  readonly log_level: LogLevel;
  /** Seconds between heartbeats. */
  readonly heartbeat_interval: number;
  /** Seconds between full observations of the host. */
  readonly full_sync_interval: number;
  /** Largest share of its guests (0–1) that one spec may remove. */
  readonly max_removal_share: number;
}

/** Reads and checks the controller section of a file. Throws with the file, the key and what is wrong with it. */
export function loadConfig(file: string): Config {
  const given = section(file, 'controller');
  const state_dir = text(given.state_dir, '/var/lib/maru');
  const listen = text(given.listen, '127.0.0.1:5000');
  const defaults: Config = {
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
    build_timeout: 300,
    cpu_allocation_ratio: 4,
    ram_allocation_ratio: 1,
    reserved_host_memory_mb: 512,
    token_lifetime_seconds: 3600,
    policy_file: null,
  };
  return complete(file, 'controller', given, defaults);
}

/** Reads and checks the agent section of a file. */
export function loadAgentConfig(file: string): AgentConfig {
  const given = section(file, 'agent');
  const defaults: AgentConfig = {
    name: hostname(),
    state_dir: '/var/lib/maru-agent',
    controller: 'https://localhost:5443',
    listen: '0.0.0.0:5444',
    underlay_ip: '127.0.0.1',
    physical_networks: { extnet: 'br-ex' },
    virt_type: 'auto',
    libvirt_uri: 'qemu:///system',
    log_level: 'info',
    heartbeat_interval: 5,
    full_sync_interval: 60,
    max_removal_share: 0.5,
  };
  return complete(file, 'agent', given, defaults);
}

function section(file: string, name: string): Record<string, unknown> {
  const all: unknown = parse(readFileSync(file, 'utf8')) ?? {};
  if (typeof all !== 'object' || Array.isArray(all)) throw new Error(`${file}: expected a mapping`);
  const unknown = Object.keys(all as object).filter((k) => k !== 'controller' && k !== 'agent');
  if (unknown.length) throw new Error(`${file}: unknown section '${unknown[0]}' (known: controller, agent)`);
  const found = (all as Record<string, unknown>)[name] ?? {};
  if (typeof found !== 'object' || Array.isArray(found))
    throw new Error(`${file}: '${name}' must be a mapping`);
  return found as Record<string, unknown>;
}

/** Takes what is given where its type is that of the default; unknown keys and other types are errors. */
function complete<T extends object>(
  file: string,
  name: string,
  given: Record<string, unknown>,
  defaults: T,
): T {
  for (const [key, value] of Object.entries(given)) {
    if (!(key in defaults)) {
      const known = Object.keys(defaults).join(', ');
      throw new Error(`${file}: unknown key '${name}.${key}' (known: ${known})`);
    }
    const expected = (defaults as Record<string, unknown>)[key];
    if (expected !== null && typeOf(value) !== typeOf(expected)) {
      throw new Error(
        `${file}: '${name}.${key}' must be a ${typeOf(expected)}, not ${JSON.stringify(value)}`,
      );
    }
  }
  return { ...defaults, ...given } as T;
}

function typeOf(value: unknown): string {
  return Array.isArray(value)
    ? 'list'
    : value === null
      ? 'null'
      : typeof value === 'object'
        ? 'mapping'
        : typeof value;
}

function text(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback;
}
