import { findHostByName, listHosts } from '../../store/hosts.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { presences } from '../../store/network/placed.js';
import { portsOfNetwork } from '../../store/network/port.js';
import { findNetworksAnywhere, hostsOfPorts } from '../../store/network/trace.js';
import { findReports } from '../../store/reports.js';
import type { Reader } from '../../store/store.js';
import type { App } from '../app.js';
import { conflict, notFound } from '../errors.js';
import type { TracedHop, TraceHost } from './model.js';
import { networkKeys, networkObjects } from './network-objects.js';
import { lookAtHops } from './run.js';
import { hostsWithSpecs } from './scene.js';

/** What exists for a network, in the cloud and on each of its hosts. */
export interface NetworkView {
  readonly id: string;
  readonly name: string;
  readonly project_id: string;
  readonly type: string;
  readonly physical_network: string | null;
  readonly segmentation_id: number | null;
  readonly mtu: number;
  readonly external: boolean;
  readonly subnets: readonly {
    readonly id: string;
    readonly cidr: string;
    readonly gateway_ip: string | null;
    readonly enable_dhcp: boolean;
  }[];
  readonly ports: readonly {
    readonly id: string;
    /** Such as `compute:nova`, `network:router_interface`; empty when nobody has it. */
    readonly owner: string;
    readonly device_id: string;
    readonly mac: string;
    readonly addresses: readonly string[];
    readonly host: string | null;
    readonly status: string;
  }[];
  readonly hosts: readonly NetworkOnHost[];
}

export interface NetworkOnHost {
  readonly host: string;
  readonly state: 'up' | 'down';
  /** What should be there, and how it was found just now. */
  readonly objects: readonly TracedHop[];
  /** What the host last reported of the objects, as the database has it. */
  readonly reports: readonly {
    readonly object: string;
    readonly state: string;
    readonly current: boolean;
    readonly error: string | null;
    readonly reported_at: string;
  }[];
}

/**
 * Shows a network by id or name, whosever it is; its hosts are asked, or only the named one, and nothing is changed. What is asked of
 * a host grows with its own ports, not with the other hosts. Throws 404 when there is no such network or host.
 */
export async function showNetwork(
  app: App,
  idOrName: string,
  hostName: string | null = null,
): Promise<NetworkView> {
  const whole = await app.store.snapshot(async (db) => await readNetwork(db, idOrName));
  const only = hostName === null ? null : await findHostByName(app.store.read, hostName);
  if (only === undefined) throw notFound(`There is no host '${hostName}'; maru host list shows them.`);
  const present = whole.present.filter((id) => only === null || id === only.id);
  const ports = whole.view.ports.filter(({ host }) => only === null || host === only.name);
  const view = { ...whole.view, ports };
  const asked: Promise<NetworkOnHost[]>[] = [];
  for (let at = 0; at < present.length; at += HOSTS_AT_ONCE) {
    const some = present.slice(at, at + HOSTS_AT_ONCE);
    const wanted = { routerIds: null, networkIds: [view.id], portIds: null, serverIds: [] };
    const hosts = await app.store.snapshot(async (db) => await hostsWithSpecs(db, some, wanted));
    const answers = Promise.all([...hosts.values()].map((host) => lookAtHost(app, host, view.id)));
    // what one of them comes to is seen below, when all have been asked
    answers.catch(() => {});
    asked.push(answers);
  }
  const shown = (await Promise.all(asked)).flat();
  return { ...view, hosts: shown.sort((a, b) => (a.host < b.host ? -1 : 1)) };
}

/** Hosts whose specs are worked out in one snapshot: on SQLite the delivery to hosts waits for it. */
const HOSTS_AT_ONCE = 30;

async function lookAtHost(app: App, host: TraceHost, networkId: string): Promise<NetworkOnHost> {
  const keys = networkKeys(host.spec, networkId);
  const reports = await findReports(app.store.read, host.id, keys);
  return {
    host: host.name,
    state: app.hosts.isUp(host.id) ? 'up' : 'down',
    objects: await lookAtHops(networkObjects(host, networkId), app.hosts.trace.bind(app.hosts), false),
    reports: reports.map(({ key, state, revision, error, reported_at }) => ({
      object: key,
      state,
      current: revision === host.spec[key]?.revision,
      error: error?.message ?? null,
      reported_at,
    })),
  };
}

async function readNetwork(
  db: Reader,
  idOrName: string,
): Promise<{ view: Omit<NetworkView, 'hosts'>; present: readonly string[] }> {
  const found = await findNetworksAnywhere(db, idOrName);
  if (found.length > 1) {
    throw conflict(`More than one network is named ${idOrName}: ${found.map(({ id }) => id).join(', ')}`);
  }
  const [network] = found;
  if (!network)
    throw notFound(`There is no network '${idOrName}'; openstack network list --all-projects shows them.`);
  const { id } = network;
  const ports = await portsOfNetwork(db, id);
  const portIds = ports.map((port) => port.id);
  const addresses = new Map<string, string[]>();
  for (const portId of portIds) addresses.set(portId, []);
  for (const { port_id, ip_address } of await addressesOfPorts(db, portIds))
    addresses.get(port_id ?? '')?.push(ip_address);
  const bound = await hostsOfPorts(db, portIds);
  const names = new Map((await listHosts(db)).map((host) => [host.id, host.name]));
  const present = (await presences(db, { networkIds: [id] })).map(({ host_id }) => host_id);
  return {
    present: [...new Set(present)],
    view: {
      id,
      name: network.name,
      project_id: network.project_id,
      type: network.network_type,
      physical_network: network.physical_network,
      segmentation_id: network.segmentation_id,
      mtu: network.mtu,
      external: network.external === 1,
      subnets: (await subnetsOfNetworks(db, [id])).map((subnet) => ({
        id: subnet.id,
        cidr: subnet.cidr,
        gateway_ip: subnet.gateway_ip,
        enable_dhcp: subnet.enable_dhcp === 1,
      })),
      ports: ports.map((port) => ({
        id: port.id,
        owner: port.device_owner,
        device_id: port.device_id,
        mac: port.mac_address,
        addresses: addresses.get(port.id) ?? [],
        host: names.get(bound.get(port.id) ?? '') ?? null,
        status: port.status,
      })),
    },
  };
}
