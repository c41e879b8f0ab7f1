import { badRequest } from '../../../core/errors.js';
import type { RequestedNic } from '../../../core/port/for-server.js';
import { createServers, type NewServer } from '../../../core/server/create.js';
import { normaliseIp } from '../../../net/ip.js';
import { atLeast } from '../../shared/microversion.js';
import { OpReply, type OpRequest } from '../../shared/operation.js';
import { isTrue } from '../schemas.js';
import { serverLinks } from './view.js';

interface NetworkBody {
  uuid?: string;
  port?: string | null;
  fixed_ip?: string;
  tag?: string;
}

interface DeviceBody {
  source_type?: string;
  destination_type?: string;
  boot_index?: number | string | null;
  uuid?: string;
  image_id?: string;
  no_device?: unknown;
}

interface Hints {
  group?: string;
  same_host?: string | string[];
  different_host?: string | string[];
}

export interface CreateBody {
  server: {
    name: string;
    imageRef?: string;
    flavorRef: string | number;
    adminPass?: string;
    metadata?: Record<string, string>;
    networks?: NetworkBody[] | 'auto' | 'none';
    'OS-DCF:diskConfig'?: 'AUTO' | 'MANUAL';
    accessIPv4?: string;
    accessIPv6?: string;
    personality?: unknown[];
    availability_zone?: string;
    block_device_mapping?: unknown[];
    block_device_mapping_v2?: DeviceBody[];
    config_drive?: unknown;
    key_name?: string;
    min_count?: number | string;
    max_count?: number | string;
    return_reservation_id?: unknown;
    security_groups?: { name?: string }[];
    user_data?: string;
    description?: string | null;
    tags?: string[];
    hostname?: string;
    host?: string;
    hypervisor_hostname?: string;
  };
  'os:scheduler_hints'?: Hints;
  'OS-SCH-HNT:scheduler_hints'?: Hints;
}

/** POST /servers. */
export async function createServer(request: OpRequest<CreateBody>): Promise<OpReply> {
  const { app, ctx, baseUrl, body } = request;
  const input = readInput(request);
  const { servers, adminPass, reservationId } = await createServers(app, ctx, input);
  if (isTrue(body.server.return_reservation_id ?? false)) {
    return new OpReply(202, { reservation_id: reservationId });
  }
  const { id } = servers[0]!;
  const groups = input.securityGroups.length ? input.securityGroups : ['default'];
  const server = {
    id,
    links: serverLinks(baseUrl, id),
    'OS-DCF:diskConfig': input.diskConfig,
    security_groups: groups.map((name) => ({ name })),
    adminPass,
  };
  return new OpReply(202, { server }, { location: `${baseUrl}/v2.1/servers/${id}` });
}

function readInput(request: OpRequest<CreateBody>): NewServer {
  const { version, body } = request;
  const { server } = body;
  const hints = body['os:scheduler_hints'] ?? body['OS-SCH-HNT:scheduler_hints'] ?? {};
  const [minCount, maxCount] = readCounts(server);
  const zone = readZone(request);
  if (server.personality?.length) {
    throw badRequest('Injecting files (personality) is not supported: use user_data');
  }
  if (maxCount > 1 && server.hostname !== undefined) {
    throw badRequest('Cannot create multiple instances with the same hostname');
  }
  if (atLeast(version, '2.90') && server.hostname?.startsWith('-')) {
    throw badRequest(`Invalid input for field/attribute hostname. Value: ${server.hostname}.`);
  }
  return {
    name: server.name.trim(),
    // before descriptions existed, Nova made them from the name
    description: atLeast(version, '2.19') ? (server.description ?? null) : server.name.trim(),
    hostname: server.hostname ?? null,
    imageId: readImage(server),
    flavorId: flavorId(server.flavorRef),
    networks: readNetworks(server.networks),
    securityGroups: [...new Set((server.security_groups ?? []).flatMap(({ name }) => name ?? []))],
    keyName: server.key_name ?? null,
    userData: readUserData(server.user_data),
    metadata: server.metadata ?? {},
    tags: server.tags ?? [],
    configDrive: isTrue(server.config_drive ?? false),
    adminPass: server.adminPass ?? null,
    availabilityZone: zone.zone,
    diskConfig: server['OS-DCF:diskConfig'] ?? 'MANUAL',
    accessIpV4: server.accessIPv4 ?? null,
    accessIpV6: server.accessIPv6 === undefined ? null : normaliseIp(server.accessIPv6),
    minCount,
    maxCount,
    hints: {
      host: zone.host,
      group: hints.group ?? null,
      same_host: [hints.same_host ?? []].flat(),
      different_host: [hints.different_host ?? []].flat(),
    },
  };
}

function readCounts(server: CreateBody['server']): [min: number, max: number] {
  const min = Number(server.min_count ?? 1);
  const max = Number(server.max_count ?? server.min_count ?? 1);
  for (const [name, value] of [
    ['min_count', min],
    ['max_count', max],
  ] as const) {
    if (value < 1) {
      throw badRequest(
        `Invalid input for field/attribute ${name}. Value: ${value}. ${value} is less than the minimum of 1`,
      );
    }
  }
  if (min > max) throw badRequest('min_count must be <= max_count');
  return [min, max];
}

/** A zone, or for administrators `zone:host`; a host may also be given by itself from 2.74 on. */
function readZone({ ctx, body }: OpRequest<CreateBody>): { zone: string | null; host: string | null } {
  const { availability_zone, host, hypervisor_hostname } = body.server;
  const [zone = '', forced, node] = (availability_zone ?? '').split(':');
  const named = host ?? hypervisor_hostname;
  if (named !== undefined) {
    ctx.authorize('compute:servers:create:requested_destination');
    if (forced) throw badRequest('A host may be requested in one way only.');
  }
  const wanted = forced || node;
  if (wanted) ctx.authorize('os_compute_api:servers:create:forced_host');
  return { zone: zone === '' ? null : zone, host: named ?? (wanted || null) };
}

function readImage(server: CreateBody['server']): string | null {
  const devices = (server.block_device_mapping_v2 ?? []).filter(({ no_device }) => !no_device);
  if (server.block_device_mapping?.length || devices.some(isVolume)) {
    throw badRequest('Block Device Mapping is Invalid: servers with volumes cannot be created yet.');
  }
  const boot = devices.filter(({ boot_index }) => String(boot_index ?? '') === '0');
  if (boot.length > 1) {
    throw badRequest('Block Device Mapping is Invalid: Boot sequence for the instance is not valid.');
  }
  const others = devices.filter((device) => !boot.includes(device));
  if (others.length) {
    throw badRequest('Block Device Mapping is Invalid: further local disks come from the flavor only.');
  }
  const ref = server.imageRef === undefined || server.imageRef === '' ? null : server.imageRef;
  const [device] = boot;
  if (!device) return ref;
  if (device.source_type !== 'image') {
    throw badRequest('Block Device Mapping is Invalid: Boot sequence for the instance is not valid.');
  }
  const image = device.uuid ?? device.image_id ?? null;
  if (ref !== null && image !== ref) {
    throw badRequest('Block Device Mapping is Invalid: it names another image than imageRef.');
  }
  return image;
}

function isVolume(device: DeviceBody): boolean {
  return (
    device.destination_type === 'volume' ||
    device.source_type === 'volume' ||
    device.source_type === 'snapshot' ||
    (device.destination_type === undefined && device.source_type === undefined)
  );
}

function readNetworks(networks: CreateBody['server']['networks']): NewServer['networks'] {
  if (networks === undefined) return 'auto';
  if (typeof networks === 'string') return networks;
  if (networks.length === 0) return 'auto';
  return networks.map(readNic);
}

function readNic({ uuid, port, fixed_ip, tag }: NetworkBody): RequestedNic {
  if (port) {
    if (fixed_ip) {
      throw badRequest(
        `Specified Fixed IP '${fixed_ip}' cannot be used with port '${port}': the two cannot be specified together.`,
      );
    }
    return { port, tag };
  }
  if (uuid === undefined)
    throw badRequest('Bad networks format: network uuid is not in proper format (None)');
  if (!/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(uuid)) {
    throw badRequest(`Bad networks format: network uuid is not in proper format (${uuid})`);
  }
  return { network: uuid, fixed_ip, tag };
}

function readUserData(text: string | undefined): string | null {
  if (text === undefined || text === '') return null;
  const clean = text.replace(/\s/g, '');
  if (clean.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(clean)) {
    throw badRequest("Invalid input for field/attribute user_data. It is not a 'base64'");
  }
  return clean;
}

/** A flavor's id, or the last part of its URL. */
function flavorId(ref: string | number): string {
  return String(ref).split('/').filter(Boolean).at(-1) ?? String(ref);
}
