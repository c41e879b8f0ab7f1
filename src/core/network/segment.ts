import { randomInt } from 'node:crypto';
import { heldVnis } from '../../store/network/hold.js';
import { usedVnis } from '../../store/network/network.js';
import { hostsOffering } from '../../store/network/router-place.js';
import type { Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import type { App } from '../app.js';
import { badRequest, conflict, MaruError } from '../errors.js';
import { invalidInput } from './problems.js';

type Network = NetworkTables['network'];
export type Segment = Pick<Network, 'network_type' | 'physical_network' | 'segmentation_id'>;

/** Provider attributes as an administrator gives them; null and absent mean: choose. */
export interface ProviderAttributes {
  readonly 'provider:network_type'?: string | null | undefined;
  readonly 'provider:physical_network'?: string | null | undefined;
  readonly 'provider:segmentation_id'?: number | null | undefined;
}

const VNI_TRIES = 16;
const MAX_VNI = 16_777_215;

/** What an administrator asks for, checked; null: a tenant network, whose VNI is drawn. */
export async function requestedSegment(tx: Tx, app: App, given: ProviderAttributes): Promise<Segment | null> {
  const type = given['provider:network_type'] ?? null;
  const physical = given['provider:physical_network'] ?? null;
  const id = given['provider:segmentation_id'] ?? null;
  if (type === null) {
    if (physical !== null || id !== null) throw invalidInput('network_type required');
    return null;
  }
  switch (type) {
    case 'flat':
      await checkPhysical(tx, app, type, physical);
      if (id !== null) throw invalidInput('segmentation_id prohibited for flat provider network');
      return { network_type: 'flat', physical_network: physical, segmentation_id: null };
    case 'vlan':
      await checkPhysical(tx, app, type, physical);
      if (id === null) throw invalidInput('segmentation_id required for vlan provider network');
      if (id < 1 || id > 4094) throw invalidInput('segmentation_id out of range (1 through 4094)');
      return { network_type: 'vlan', physical_network: physical, segmentation_id: id };
    case 'vxlan':
      if (physical !== null) throw invalidInput('provider:physical_network specified for vxlan network');
      if (id !== null && (id < 1 || id > MAX_VNI)) {
        throw invalidInput(`segmentation_id out of range (1 through ${MAX_VNI})`);
      }
      return id === null ? null : { network_type: 'vxlan', physical_network: null, segmentation_id: id };
    case 'local':
      if (physical !== null || id !== null)
        throw invalidInput('provider attributes prohibited for local network');
      return { network_type: 'local', physical_network: null, segmentation_id: null };
    default:
      throw badRequest(
        `Invalid input for operation: network_type value '${type}' not supported.`,
        'InvalidInput',
      );
  }
}

/** Segments to try in turn until one can be inserted: the one asked for, or random free VNIs. */
export async function* candidateSegments(
  app: App,
  tx: Tx,
  requested: Segment | null,
): AsyncGenerator<Segment> {
  const held = await heldVnis(tx);
  if (requested) {
    const { network_type, segmentation_id } = requested;
    if (network_type !== 'vxlan' || !held.has(segmentation_id ?? 0)) yield requested;
    return;
  }
  const [first, last] = app.config.vni_range;
  const segment = (vni: number): Segment => ({
    network_type: 'vxlan',
    physical_network: null,
    segmentation_id: vni,
  });
  for (let i = 0; i < VNI_TRIES; i++) {
    const vni = randomInt(first, last + 1);
    if (!held.has(vni)) yield segment(vni);
  }
  const used = await usedVnis(tx);
  for (let vni = first; vni <= last; vni++) if (!used.has(vni) && !held.has(vni)) yield segment(vni);
}

/** Why no network could be made on a segment. */
export function segmentTaken(requested: Segment | null): MaruError {
  switch (requested?.network_type) {
    case 'flat':
      return conflict(
        `Unable to create the flat network. Physical network ${requested.physical_network} is in use.`,
        'FlatNetworkInUse',
      );
    case 'vlan':
      return conflict(
        `Unable to create the network. The VLAN ${requested.segmentation_id} on physical network ${requested.physical_network} is in use.`,
        'VlanIdInUse',
      );
    case 'vxlan':
      return conflict(
        `Unable to create the network. The tunnel ID ${requested.segmentation_id} is in use.`,
        'TunnelIdInUse',
      );
    default:
      return new MaruError(
        'unavailable',
        'Unable to create the network. No tenant network is available for allocation.',
        { type: 'NoNetworkAvailable' },
      );
  }
}

/** The largest packet that networks of a type carry: VXLAN needs 50 bytes of the underlay's over IPv4, and 70 over IPv6. */
export function largestMtu(app: App, type: Network['network_type']): number {
  const { underlay_mtu, overlay_ip_version, provider_mtu } = app.config;
  if (type !== 'vxlan') return provider_mtu;
  return underlay_mtu - (overlay_ip_version === 6 ? 70 : 50);
}

/** An alias is known when the configuration names it, so that networks can be made before hosts join, or when a host has it. */
async function checkPhysical(tx: Tx, app: App, type: string, physical: string | null): Promise<void> {
  if (physical === null) throw invalidInput(`physical_network required for ${type} provider network`);
  if (app.config.physical_networks.includes(physical)) return;
  if ((await hostsOffering(tx, physical)).length === 0) {
    throw invalidInput(`physical_network '${physical}' unknown for ${type} provider network`);
  }
}
