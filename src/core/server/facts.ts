import type { FlavorRow } from '../../store/compute/flavor.js';

/** What a server keeps of its flavor: flavors may change or go, servers stay as they were made. */
export interface ServerFlavor {
  readonly id: string;
  readonly name: string;
  readonly vcpus: number;
  readonly ram: number;
  readonly disk: number;
  readonly ephemeral: number;
  readonly swap: number;
  readonly rxtx_factor: number;
  readonly extra_specs: Readonly<Record<string, string>>;
}

/** What a server keeps of the image that its root disk is based on. */
export interface ServerImage {
  readonly id: string;
  readonly name: string;
  readonly disk_format: string;
  readonly size: number;
  readonly virtual_size: number;
  readonly sha512: string;
  readonly min_disk: number;
  readonly min_ram: number;
  readonly properties: Readonly<Record<string, string>>;
}

export interface ServerKey {
  readonly name: string;
  readonly type: 'ssh' | 'x509';
  readonly data: string;
}

/** Why a server is in ERROR. */
export interface ServerFault {
  readonly code: number;
  readonly message: string;
  readonly details: string;
  readonly created: string;
}

/** A flavor's row as servers keep it. */
export function flavorFacts(row: FlavorRow): ServerFlavor {
  return {
    id: row.id,
    name: row.name,
    vcpus: row.vcpus,
    ram: row.memory_mb,
    disk: row.root_gb,
    ephemeral: row.ephemeral_gb,
    swap: row.swap_mb,
    rxtx_factor: row.rxtx_factor,
    extra_specs: JSON.parse(row.extra_specs) as Record<string, string>,
  };
}
