import type { FlavorRow } from '../../../store/compute/flavor.js';
import { atLeast } from '../../shared/microversion.js';
import type { OpRequest } from '../../shared/operation.js';

/** A flavor in full, as the request's microversion shows it. */
export function showFlavor(request: OpRequest, flavor: FlavorRow): Record<string, unknown> {
  const { version } = request;
  return {
    id: flavor.id,
    name: flavor.name,
    ram: flavor.memory_mb,
    disk: flavor.root_gb,
    swap: flavor.swap_mb === 0 && !atLeast(version, '2.75') ? '' : flavor.swap_mb,
    'OS-FLV-EXT-DATA:ephemeral': flavor.ephemeral_gb,
    'OS-FLV-DISABLED:disabled': false,
    vcpus: flavor.vcpus,
    'os-flavor-access:is_public': flavor.is_public === 1,
    rxtx_factor: flavor.rxtx_factor,
    links: flavorLinks(request, flavor.id),
    ...(atLeast(version, '2.55') ? { description: flavor.description } : {}),
    ...(atLeast(version, '2.61') ? { extra_specs: JSON.parse(flavor.extra_specs) } : {}),
  };
}

/** A flavor in a list without details. */
export function briefFlavor(request: OpRequest, flavor: FlavorRow): Record<string, unknown> {
  return {
    id: flavor.id,
    name: flavor.name,
    links: flavorLinks(request, flavor.id),
    ...(atLeast(request.version, '2.55') ? { description: flavor.description } : {}),
  };
}

function flavorLinks({ baseUrl }: OpRequest, id: string) {
  return [
    { rel: 'self', href: `${baseUrl}/v2.1/flavors/${id}` },
    { rel: 'bookmark', href: `${baseUrl}/flavors/${id}` },
  ];
}
