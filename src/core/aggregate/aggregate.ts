import { randomUUID } from 'node:crypto';
import {
  type Aggregate,
  addAggregateHost,
  deleteAggregateRow,
  findAggregate,
  insertAggregate,
  listAggregates,
  removeAggregateHost,
  updateAggregateRow,
} from '../../store/compute/aggregate.js';
import { serversByHost } from '../../store/compute/server.js';
import { findHostByName } from '../../store/hosts.js';
import { nowText, type Reader, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import { conflict, notFound } from '../errors.js';

export async function getAggregate(db: Reader, id: number): Promise<Aggregate> {
  const aggregate = await findAggregate(db, id);
  if (!aggregate) throw notFound(`Aggregate ${id} could not be found.`);
  return aggregate;
}

/** Makes a group of hosts, which is an availability zone when it is given one's name. */
export async function createAggregate(app: App, name: string, zone: string | null): Promise<Aggregate> {
  return await app.store.tx(async (tx) => {
    await checkName(tx, name, null);
    const id = await insertAggregate(tx, {
      uuid: randomUUID(),
      name,
      availability_zone: zone,
      metadata: JSON.stringify(zone === null ? {} : { availability_zone: zone }),
      created_at: nowText(),
      updated_at: null,
    });
    return await getAggregate(tx, id);
  });
}

export async function updateAggregate(
  app: App,
  id: number,
  changes: { readonly name?: string | undefined; readonly zone?: string | null | undefined },
): Promise<Aggregate> {
  const { name, zone } = changes;
  return await app.store.tx(async (tx) => {
    const aggregate = await getAggregate(tx, id);
    if (name !== undefined) await checkName(tx, name, id);
    if (zone !== undefined) await checkZoneChange(tx, aggregate, zone);
    const metadata = JSON.parse(aggregate.metadata) as Record<string, string>;
    if (zone !== undefined) setZone(metadata, zone);
    await updateAggregateRow(tx, id, {
      ...(name === undefined ? {} : { name }),
      ...(zone === undefined ? {} : { availability_zone: zone, metadata: JSON.stringify(metadata) }),
      updated_at: nowText(),
    });
    return await getAggregate(tx, id);
  });
}

/** Sets items of an aggregate's metadata; null takes one away. `availability_zone` is the zone's name. */
export async function setAggregateMetadata(
  app: App,
  id: number,
  items: Readonly<Record<string, string | null>>,
): Promise<Aggregate> {
  return await app.store.tx(async (tx) => {
    const aggregate = await getAggregate(tx, id);
    const metadata = JSON.parse(aggregate.metadata) as Record<string, string>;
    for (const [key, value] of Object.entries(items)) {
      if (value === null) delete metadata[key];
      else metadata[key] = value;
    }
    const zone = metadata.availability_zone ?? null;
    if (zone !== aggregate.availability_zone) await checkZoneChange(tx, aggregate, zone);
    await updateAggregateRow(tx, id, {
      metadata: JSON.stringify(metadata),
      availability_zone: zone,
      updated_at: nowText(),
    });
    return await getAggregate(tx, id);
  });
}

export async function deleteAggregate(app: App, id: number): Promise<void> {
  await app.store.tx(async (tx) => {
    const aggregate = await getAggregate(tx, id);
    if (aggregate.hosts.length) {
      throw conflict(
        `Cannot remove aggregate ${id}: it still has hosts. Remove them first.`,
        'InvalidAggregate',
      );
    }
    await deleteAggregateRow(tx, id);
  });
}

export async function addHostToAggregate(app: App, id: number, hostName: string): Promise<Aggregate> {
  return await app.store.tx(async (tx) => {
    const aggregate = await getAggregate(tx, id);
    const host = await findHostByName(tx, hostName);
    if (!host) throw notFound(`Compute host ${hostName} could not be found.`);
    if (aggregate.hosts.some((member) => member.id === host.id)) {
      throw conflict(`Cannot add host ${hostName} in aggregate ${id}: host already in aggregate`);
    }
    const zone = aggregate.availability_zone;
    const other = (await listAggregates(tx)).find(
      (a) =>
        a.hosts.some((member) => member.id === host.id) &&
        a.availability_zone !== null &&
        a.availability_zone !== zone,
    );
    if (zone !== null && other) {
      throw conflict(
        `Cannot perform action 'add_host_to_aggregate' on aggregate ${id}. Reason: One or more hosts already in availability zone(s) ['${other.availability_zone}'].`,
      );
    }
    await addAggregateHost(tx, id, host.id);
    return await getAggregate(tx, id);
  });
}

export async function removeHostFromAggregate(app: App, id: number, hostName: string): Promise<Aggregate> {
  return await app.store.tx(async (tx) => {
    const aggregate = await getAggregate(tx, id);
    const host = aggregate.hosts.find((member) => member.name === hostName);
    if (!host) throw notFound(`Cannot remove host ${hostName} in aggregate ${id}: host not found`);
    await removeAggregateHost(tx, id, host.id);
    return await getAggregate(tx, id);
  });
}

async function checkName(tx: Tx, name: string, exceptId: number | null): Promise<void> {
  const taken = (await listAggregates(tx)).some((a) => a.name === name && a.id !== exceptId);
  if (taken) throw conflict(`Aggregate ${name} already exists.`);
}

/** Servers that asked for a zone would find themselves in another. */
async function checkZoneChange(tx: Tx, aggregate: Aggregate, zone: string | null): Promise<void> {
  if (zone === aggregate.availability_zone) return;
  const servers = await serversByHost(tx);
  if (aggregate.hosts.some(({ id }) => servers.has(id))) {
    throw conflict(
      `Cannot perform action 'update aggregate' on aggregate ${aggregate.id}. Reason: One or more hosts contain instances in this zone.`,
    );
  }
}

function setZone(metadata: Record<string, string>, zone: string | null): void {
  if (zone === null) delete metadata.availability_zone;
  else metadata.availability_zone = zone;
}
