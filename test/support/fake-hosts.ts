import { randomUUID } from 'node:crypto';
import { onHostFacts } from '../../src/core/allocation/inventory.js';
import { MaruError } from '../../src/core/errors.js';
import type { AuthorityStatus, HostGateway } from '../../src/core/gateway.js';
import type { HostFacts } from '../../src/protocol/messages.js';
import { insertHost, setPhysicalNetworks } from '../../src/store/hosts.js';
import { nowText } from '../../src/store/store.js';
import type { TestApp } from './app.js';

/** What there is to say of certificates where nobody has one. */
export const NO_AUTHORITY: AuthorityStatus = {
  phase: 'none',
  since: null,
  authorities: [],
  hosts: [],
  waiting_for: [],
};

/** Hosts that exist only as rows, for API tests: up until said otherwise. Give `gateway` to TestApp as `parts.hosts`. */
export class RowHosts {
  readonly down = new Set<string>();
  /** Not heard of since the controller started, which makes them neither up nor down. */
  readonly unheard = new Set<string>();
  /** Hosts that do not take their specs. */
  readonly undelivered = new Map<string, { readonly fault: string; readonly ms: number }>();
  readonly gateway: HostGateway = {
    consoleOutput: unreachable,
    plan: unreachable,
    doctor: unreachable,
    healDrift: unreachable,
    logs: unreachable,
    probe: unreachable,
    trace: unreachable,
    isUp: (id) => !this.down.has(id) && !this.unheard.has(id),
    isDown: (id) => this.down.has(id),
    silence: () => null,
    deliveryFault: (id) => this.undelivered.get(id)?.fault ?? null,
    deliveryFailing: (id) => this.undelivered.get(id)?.ms ?? null,
    confirmRemoval: async () => {},
    createJoinToken: unreachable,
    forgetHost: async () => {},
    isNamed: async () => false,
    removeOrphan: unreachable,
    authority: {
      status: async () => NO_AUTHORITY,
      rotate: unreachable,
      abort: unreachable,
      finish: unreachable,
    },
  };

  /** Adds a host as if it had joined and told its facts; gives its id. */
  async add(cloud: TestApp, name: string, facts: Partial<HostFacts> = {}): Promise<string> {
    const id = randomUUID();
    const all: HostFacts = { ...FACTS, hostname: name, ...facts };
    await cloud.app.store.tx(async (tx) => {
      await insertHost(tx, {
        id,
        name,
        enabled: 1,
        disabled_reason: null,
        agent_url: 'https://192.0.2.1:5444',
        underlay_ip: '192.0.2.1',
        boot_id: randomUUID(),
        facts: JSON.stringify(all),
        usage: null,
        orphans: null,
        simulated: 0,
        sequence: 0,
        certificate_fingerprint: null,
        certificate_expires_at: null,
        last_seen_at: nowText(),
        created_at: nowText(),
      });
      await setPhysicalNetworks(tx, id, all.physical_networks);
      await onHostFacts(tx, cloud.app.config, id, all);
    });
    return id;
  }
}

const FACTS: HostFacts = {
  hostname: '',
  agent_version: '0.1.0',
  kernel: '6.1',
  cpu_model: 'test',
  vcpus: 16,
  memory_mb: 65_536,
  disk_gb: 1000,
  libvirt_version: '9.0.0',
  qemu_version: '7.2.0',
  virt_type: 'qemu',
  virt_type_reason: 'a row of a test',
  physical_networks: ['extnet'],
  underlay_ip: '192.0.2.1',
  simulated: false,
  warnings: [],
};

async function unreachable(): Promise<never> {
  throw new MaruError('unavailable', 'this host is only a row');
}
