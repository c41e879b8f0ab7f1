import { hostname } from 'node:os';
import { key, type Section, type ValuesOf } from '../src/protocol/config/key.js';
import { loadSection } from '../src/protocol/config/read.js';
import {
  type ConfigType,
  ipAddress,
  listenAddress,
  mapOf,
  number,
  oneOf,
  path,
  seconds,
  text,
  url,
} from '../src/protocol/config/types.js';
import { LOG_KEYS } from '../src/protocol/log-keys.js';

/** Every key of section `agent`. */
export const AGENT_KEYS = {
  name: key(
    text('a name of letters, digits, dots and hyphens', (value) =>
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/.test(value) ? null : 'it has other characters',
    ),
    {
      default: () => hostname(),
      defaultWords: "this machine's host name",
      description:
        'What this host is called in the cloud; it keeps this name for as long as it belongs to it.',
    },
  ),
  state_dir: key(path(), {
    default: '/var/lib/maru-agent',
    description: "Directory of the host's certificate, its spec, base images and disks.",
  }),
  controller: key(emptyOr(url('https')), {
    default: '',
    description: "URL of the controller's agent_listen; empty: the one that the join token named.",
  }),
  listen: key(listenAddress(), {
    default: '0.0.0.0:5444',
    description: 'Where the agent takes what the controller says (mutual TLS).',
  }),
  underlay_ip: key(ipAddress(), {
    default: '127.0.0.1',
    description: 'Address of this host in the network between hosts: where its VXLAN tunnels begin.',
  }),
  physical_networks: key(
    mapOf(
      'aliases, each with its bridge, such as {extnet: br-ex}',
      text('the name of a bridge, at most 15 characters', (value) =>
        /^[^\s/:]{1,15}$/.test(value) ? null : 'Linux takes no such name',
      ),
    ),
    {
      default: { extnet: 'br-ex' },
      description: 'Provider networks that this host reaches: aliases and their bridges.',
    },
  ),
  virt_type: key(oneOf('auto', 'kvm', 'qemu'), {
    default: 'auto',
    description: 'kvm, or qemu, which emulates and is slow; auto: kvm where it works.',
  }),
  libvirt_uri: key(text('a libvirt URI'), {
    default: 'qemu:///system',
    description: 'The libvirt of this host.',
  }),
  ...LOG_KEYS,
  heartbeat_interval: key(seconds({ min: 0.05, max: 3600 }), {
    default: 5,
    unit: 'seconds',
    reload: true,
    description: "Time between heartbeats; well below the controller's host_down_after.",
  }),
  full_sync_interval: key(seconds({ min: 0.05, max: 86_400 }), {
    default: 60,
    unit: 'seconds',
    reload: true,
    description: 'Time between full observations of the host.',
  }),
  max_removal_share: key(number({ min: 0, max: 1 }), {
    default: 0.5,
    reload: true,
    description:
      'Largest share of its guests (0–1) that one spec may remove; a larger one has to be confirmed.',
  }),
  image_cache_days: key(number({ min: 0, max: 36_500 }), {
    default: 7,
    unit: 'days',
    reload: true,
    description:
      'A base image that no disk has been based on for so long is removed from this host; 0: never.',
  }),
  boot_wait: key(seconds({ min: 0, max: 86_400 }), {
    default: 15,
    unit: 'seconds',
    description:
      "After a boot of the host: how long guests wait for the controller's word before they start from the spec on disk.",
  }),
};

/** The agent's configuration: section `agent` of /etc/maru/maru.yaml, completed with defaults. */
export type AgentConfig = ValuesOf<typeof AGENT_KEYS>;

export const AGENT_SECTION: Section<typeof AGENT_KEYS> = {
  name: 'agent',
  description: 'What `maru agent` reads, on each host.',
  keys: AGENT_KEYS,
};

/** Reads and checks the agent section of a file. Throws ConfigInvalid with everything that is wrong, each with its line. */
export function loadAgentConfig(file: string): AgentConfig {
  return loadSection(file, AGENT_SECTION);
}

/** Also the empty text, which stands for what is found out otherwise. */
function emptyOr(type: ConfigType<string>): ConfigType<string> {
  return {
    words: `${type.words}, or ''`,
    read: (node, complain) => ('value' in node && node.value === '' ? '' : type.read(node, complain)),
  };
}
