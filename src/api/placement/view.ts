import type { HostSummary } from '../../core/compute-host/summary.js';
import { atLeast } from '../shared/microversion.js';
import type { Microversion } from '../shared/operation.js';

/** A host as a resource provider. */
export interface Provider {
  readonly summary: HostSummary;
  readonly generation: number;
}

/** Kinds of links that a provider has, and since when. */
const LINKS: readonly (readonly [rel: string, since: string])[] = [
  ['self', '1.0'],
  ['inventories', '1.0'],
  ['usages', '1.0'],
  ['aggregates', '1.1'],
  ['traits', '1.6'],
  ['allocations', '1.11'],
];

export function showProvider(
  version: Microversion,
  { summary, generation }: Provider,
): Record<string, unknown> {
  const { id, name } = summary.host;
  const url = `/placement/resource_providers/${id}`;
  return {
    uuid: id,
    name,
    generation,
    ...(atLeast(version, '1.14') ? { parent_provider_uuid: null, root_provider_uuid: id } : {}),
    links: LINKS.filter(([, since]) => atLeast(version, since)).map(([rel]) => ({
      rel,
      href: rel === 'self' ? url : `${url}/${rel}`,
    })),
  };
}

/** What every host of this cloud can do, in os-traits' names. */
export function traitsOf({ summary }: Provider): string[] {
  const { facts } = summary;
  return [
    'COMPUTE_NODE',
    'COMPUTE_IMAGE_TYPE_ISO',
    'COMPUTE_IMAGE_TYPE_QCOW2',
    'COMPUTE_IMAGE_TYPE_RAW',
    ...(facts?.virt_type === 'kvm' ? ['HW_CPU_X86_VMX'] : []),
    ...(summary.host.enabled ? [] : ['COMPUTE_STATUS_DISABLED']),
  ];
}
