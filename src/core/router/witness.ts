import type { ProbeReply, ProbeTarget } from '../../protocol/messages.js';
import { findHost, findHosts } from '../../store/hosts.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { hostsOffering, hostsOnNetworkSince } from '../../store/network/router-place.js';
import { findRows } from '../../store/network/rows.js';
import { routerPorts } from '../../store/network/spec-rows.js';
import type { App } from '../app.js';

/** Whether other hosts find that nobody runs a router, and why that is thought. */
export interface Verdict {
  readonly gone: boolean;
  readonly why: string;
}

/** Hosts that are asked about one network. */
const WITNESSES = 3;
const TOLD_MS = 5_000;

/**
 * Asks hosts of a router's networks, and hosts on its provider network, who answers for its addresses. It is gone only if of every
 * network with hosts to ask at least one could tell, and nobody answered anywhere; hosts that do not reply say nothing.
 */
export async function askWitnesses(app: App, routerId: string, suspect: string): Promise<Verdict> {
  const targets = await targetsOf(app, routerId);
  const heard = await lastHeardOf(app, suspect);
  if (targets.size === 0) return { gone: true, why: 'it has no addresses' };
  const asked = new Map<string, Set<string>>();
  const silent: string[] = [];
  const away = new Set<string>();
  for (const [networkId, target] of targets) {
    const others = (await hostsOf(app, target, heard)).filter((id) => id !== suspect);
    const hosts = others.filter((id) => app.hosts.isUp(id));
    for (const id of others) if (!app.hosts.isUp(id)) away.add(id);
    if (hosts.length === 0) silent.push(networkId);
    for (const hostId of hosts.slice(0, WITNESSES)) {
      asked.set(hostId, (asked.get(hostId) ?? new Set()).add(networkId));
    }
  }
  if (asked.size === 0) return { gone: false, why: await nobodyWords(app, suspect, [...away]) };
  const replies = await Promise.all(
    [...asked].map(([hostId, networks]) =>
      ask(
        app,
        hostId,
        [...networks].map((id) => targets.get(id)!),
      ),
    ),
  );
  const told = new Set<string>();
  for (const reply of replies) {
    for (const { address, mac } of reply?.answers ?? []) {
      return { gone: false, why: `somebody still answers for ${address} (${mac})` };
    }
  }
  [...asked].forEach(([, networks], index) => {
    const reply = replies[index];
    if (reply) for (const id of networks) if (!reply.unknown_networks.includes(id)) told.add(id);
  });
  const untold = [...targets.keys()].find((id) => !told.has(id) && !silent.includes(id));
  if (untold !== undefined)
    return { gone: false, why: `no host could tell who answers on network ${untold}` };
  return {
    gone: true,
    why: `nobody answers on ${told.size} of its ${targets.size} networks, ${asked.size} hosts say`,
  };
}

/** Whom it waits for, and the word of an operator that does as well. */
async function nobodyWords(app: App, suspect: string, away: readonly string[]): Promise<string> {
  const rows = await findHosts(app.store.read, [suspect, ...away.slice(0, WITNESSES)]);
  const names = new Map(rows.map(({ id, name }) => [id, name]));
  const others = away
    .slice(0, WITNESSES)
    .map((id) => names.get(id) ?? id)
    .sort();
  const could = others.length > 0 ? ` (${others.join(', ')} could, once up)` : '';
  const name = names.get(suspect) ?? suspect;
  return `for its host ${name}: no other host that is up can tell whether it still runs the router${could}; if ${name} is off for good, maru host remove ${name} says so`;
}

async function ask(app: App, hostId: string, targets: readonly ProbeTarget[]): Promise<ProbeReply | null> {
  try {
    return await app.hosts.probe(hostId, { targets });
  } catch (error) {
    app.log.warn('a witness could not be asked', { host: hostId, error });
    return null;
  }
}

/** The router's own addresses by network. */
async function targetsOf(app: App, routerId: string): Promise<Map<string, ProbeTarget>> {
  const db = app.store.read;
  const ports = await routerPorts(db, [routerId]);
  const addresses = await addressesOfPorts(
    db,
    ports.map((port) => port.id),
  );
  const networks = await findRows(db, 'network', [...new Set(ports.map((port) => port.network_id))]);
  const targets = new Map<string, ProbeTarget>();
  for (const { id, network_type: type, physical_network, segmentation_id } of networks) {
    const own = new Set(ports.filter((port) => port.network_id === id).map((port) => port.id));
    const its = addresses.filter((a) => a.port_id !== null && own.has(a.port_id)).map((a) => a.ip_address);
    if (its.length)
      targets.set(id, { network: { id, type, physical_network, segmentation_id }, addresses: its });
  }
  return targets;
}

/**
 * Hosts that would hear an answer. On a tunnel the suspect answers only those that it was told of: a host that came later hears
 * nothing of a router that is well.
 */
async function hostsOf(app: App, { network }: ProbeTarget, heard: string): Promise<string[]> {
  const db = app.store.read;
  if (network.type === 'flat' && network.physical_network !== null) {
    return await hostsOffering(db, network.physical_network);
  }
  return await hostsOnNetworkSince(db, network.id, heard);
}

/** When the suspect was last heard of, less the time that it may take to tell a host of another. */
async function lastHeardOf(app: App, suspect: string): Promise<string> {
  const silence = app.hosts.silence(suspect);
  if (silence !== null) return new Date(Date.now() - silence - TOLD_MS).toISOString();
  const row = await findHost(app.store.read, suspect);
  return new Date(Date.parse(row?.last_seen_at ?? '') - TOLD_MS || 0).toISOString();
}
