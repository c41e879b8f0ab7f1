import { randomBytes, randomUUID } from 'node:crypto';
import { addGroupMember } from '../../store/compute/group.js';
import { findServer, insertServer, replaceTags, type ServerRow } from '../../store/compute/server.js';
import { nowText, type Tx } from '../../store/store.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, MaruError } from '../errors.js';
import { visibleFlavor } from '../flavor/flavor.js';
import { getKeypair } from '../keypair/keypair.js';
import { createServerPorts, type RequestedNic } from '../port/for-server.js';
import type { PlacementHints } from '../scheduler/record.js';
import { checkGroup, checkZone } from '../scheduler/wishes.js';
import { flavorFacts, type ServerFlavor, type ServerImage, type ServerKey } from './facts.js';
import { chooseHardware } from './hardware.js';
import { beginAction } from './history.js';
import { hostnameFrom } from './hostname.js';
import { imageForServer } from './image.js';
import { claimServerQuota } from './quota.js';
import { computeStatus } from './status.js';
import type { BuildPayload } from './tasks/build.js';

/** A request for one or several like servers, checked for form but not yet for sense. */
export interface NewServer {
  readonly name: string;
  readonly description: string | null;
  /** Null: made from the name. */
  readonly hostname: string | null;
  readonly imageId: string | null;
  readonly flavorId: string;
  readonly networks: readonly RequestedNic[] | 'auto' | 'none';
  readonly securityGroups: readonly string[];
  readonly keyName: string | null;
  readonly userData: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
  readonly configDrive: boolean;
  readonly adminPass: string | null;
  readonly availabilityZone: string | null;
  readonly diskConfig: 'AUTO' | 'MANUAL';
  readonly accessIpV4: string | null;
  readonly accessIpV6: string | null;
  readonly minCount: number;
  readonly maxCount: number;
  readonly hints: PlacementHints;
}

export interface CreatedServers {
  readonly servers: readonly ServerRow[];
  readonly adminPass: string;
  readonly reservationId: string;
}

/**
 * Creates servers in one transaction: quota, ports, host, capacity, rows. Refusals change nothing. A server without a fitting
 * host is created all the same, in ERROR, and says why.
 */
export async function createServers(app: App, ctx: Context, input: NewServer): Promise<CreatedServers> {
  const adminPass = input.adminPass ?? password();
  const reservationId = `r-${randomBytes(5).toString('hex').slice(0, 8)}`;
  const servers = await app.store.tx(async (tx) => {
    const parts = await resolveParts(tx, app, ctx, input);
    const { flavor } = parts;
    const size = { vcpus: flavor.vcpus, ram: flavor.ram };
    const { minCount, maxCount } = input;
    const count = await claimServerQuota(tx, app, ctx.projectId, size, minCount, maxCount);
    const created: ServerRow[] = [];
    for (let i = 0; i < count; i++) {
      const row = serverRow(ctx, input, parts, { adminPass, reservationId, index: i, several: maxCount > 1 });
      created.push(await createOne(tx, app, ctx, input, row));
    }
    return created;
  });
  return { servers, adminPass, reservationId };
}

interface Parts {
  readonly flavor: ServerFlavor;
  readonly image: ServerImage | null;
  readonly key: ServerKey | null;
  readonly hardware: Readonly<Record<string, string>>;
}

async function resolveParts(tx: Tx, app: App, ctx: Context, input: NewServer): Promise<Parts> {
  const flavor = flavorFacts(await asBadRequest(() => visibleFlavor(tx, ctx, input.flavorId)));
  if (input.imageId === null) {
    throw badRequest('Invalid imageRef provided.');
  }
  const image = await imageForServer(tx, ctx, input.imageId, flavor);
  const keypair =
    input.keyName === null
      ? null
      : await asBadRequest(
          () => getKeypair(tx, ctx.userId, input.keyName!),
          () => `Invalid key_name provided.`,
        );
  await checkZone(tx, input.availabilityZone, input.hints.host);
  if (input.hints.group) await checkGroup(tx, app, ctx, input.hints.group);
  return {
    flavor,
    image,
    key: keypair && {
      name: keypair.name,
      type: keypair.type as ServerKey['type'],
      data: keypair.public_key,
    },
    hardware: chooseHardware(image.properties, flavor.extra_specs, flavor.vcpus),
  };
}

interface Numbering {
  readonly adminPass: string;
  readonly reservationId: string;
  readonly index: number;
  readonly several: boolean;
}

function serverRow(ctx: Context, input: NewServer, parts: Parts, numbering: Numbering) {
  const id = randomUUID();
  const { index, several } = numbering;
  const name = several ? `${input.name}-${index + 1}` : input.name;
  const now = nowText();
  const state = {
    task_state: 'scheduling',
    deleted_at: null,
    failed: 0,
    launched_at: null,
    observed_power: null,
  };
  return {
    id,
    project_id: ctx.projectId,
    user_id: ctx.userId,
    name,
    description: input.description,
    hostname: input.hostname ?? hostnameFrom(name, id),
    reservation_id: numbering.reservationId,
    launch_index: index,
    availability_zone: input.availabilityZone,
    image_id: parts.image?.id ?? null,
    image: parts.image && JSON.stringify(parts.image),
    flavor: JSON.stringify(parts.flavor),
    flavor_id: parts.flavor.id,
    vcpus: parts.flavor.vcpus,
    memory_mb: parts.flavor.ram,
    key_name: parts.key?.name ?? null,
    key: parts.key && JSON.stringify(parts.key),
    user_data: input.userData,
    config_drive: input.configDrive ? 1 : 0,
    admin_pass: numbering.adminPass,
    metadata: JSON.stringify(input.metadata),
    access_ip_v4: input.accessIpV4,
    access_ip_v6: input.accessIpV6,
    disk_config: input.diskConfig,
    hardware: JSON.stringify(parts.hardware),
    host_id: null,
    run_epoch: 0,
    power: 'running',
    soft_reboots: 0,
    hard_reboots: 0,
    locked: 0,
    locked_by: null,
    locked_reason: null,
    delete_requested_at: null,
    task_request_id: ctx.requestId,
    build_attempts: 0,
    failed_hosts: '[]',
    placement: null,
    fault: null,
    ...state,
    ...computeStatus(state),
    created_at: now,
    updated_at: now,
    revision: 1,
  };
}

async function createOne(
  tx: Tx,
  app: App,
  ctx: Context,
  input: NewServer,
  row: ReturnType<typeof serverRow>,
): Promise<ServerRow> {
  const server = await insertServer(tx, row);
  if (input.tags.length) await replaceTags(tx, server.id, input.tags);
  if (input.hints.group) await addGroupMember(tx, input.hints.group, server.id);
  await createServerPorts(tx, ctx, app, {
    serverId: server.id,
    projectId: ctx.projectId,
    requested: input.networks,
    securityGroups: input.securityGroups,
    hostId: null,
    availabilityZone: input.availabilityZone ?? 'nova',
  });
  await beginAction(tx, ctx, server, 'create');
  await app.tasks.start(tx, {
    kind: 'server.build',
    object: { kind: 'server', id: server.id },
    payload: { hints: input.hints, fault: null, stranded: false } satisfies BuildPayload,
    projectId: ctx.projectId,
    requestId: ctx.requestId,
  });
  return (await findServer(tx, server.id))!;
}

/** Things named in a request body that do not exist are the request's fault: 400, not 404. */
async function asBadRequest<T>(body: () => Promise<T>, words?: () => string): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (error instanceof MaruError && error.code === 'not-found') {
      throw badRequest(words ? words() : error.message);
    }
    throw error;
  }
}

const LETTERS = 'abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789';

/** Twelve letters and digits that cannot be mistaken for each other. */
function password(): string {
  return Array.from(randomBytes(12), (byte) => LETTERS[byte % LETTERS.length]).join('');
}
