import type { GuestMetadata } from '../../src/protocol/objects.js';
import { networkData } from './network-data.js';
import { hasSince, type OpenStackVersion } from './versions.js';

/** Names of the files that a version has, in the order they are listed in. */
export function openstackFileNames(metadata: GuestMetadata, version: OpenStackVersion): readonly string[] {
  const names = ['meta_data.json'];
  if (metadata.user_data !== null) names.push('user_data');
  if (hasSince(version, '2013-04-04')) names.push('password');
  if (hasSince(version, '2013-10-17')) names.push('vendor_data.json');
  if (hasSince(version, '2015-10-15')) names.push('network_data.json');
  if (hasSince(version, '2016-10-06')) names.push('vendor_data2.json');
  return names;
}

/**
 * Content of one file but `password`, which the metadata service alone has; null when this version or server has none.
 * `randomSeed` is for the guest's random number generator: 512 bytes, base64.
 */
export function openstackFile(
  metadata: GuestMetadata,
  version: OpenStackVersion,
  name: string,
  randomSeed: string,
): string | Buffer | null {
  if (!openstackFileNames(metadata, version).includes(name)) return null;
  switch (name) {
    case 'meta_data.json':
      return JSON.stringify(metaData(metadata, version, randomSeed));
    case 'user_data':
      return Buffer.from(metadata.user_data ?? '', 'base64');
    case 'network_data.json':
      return JSON.stringify(networkData(metadata));
    case 'vendor_data.json':
    case 'vendor_data2.json':
      return '{}';
    default:
      return null;
  }
}

function metaData(
  metadata: GuestMetadata,
  version: OpenStackVersion,
  randomSeed: string,
): Record<string, unknown> {
  const document: Record<string, unknown> = { uuid: metadata.uuid };
  if (metadata.admin_pass !== null) document.admin_pass = metadata.admin_pass;
  if (metadata.keys.length > 0) {
    document.public_keys = Object.fromEntries(metadata.keys.map((key) => [key.name, key.data]));
    document.keys = metadata.keys.map((key) => ({ name: key.name, type: key.type, data: key.data }));
  }
  if (Object.keys(metadata.meta).length > 0) document.meta = metadata.meta;
  document.hostname = metadata.hostname;
  document.name = metadata.name;
  document.launch_index = metadata.launch_index;
  document.availability_zone = metadata.availability_zone;
  if (hasSince(version, '2013-04-04')) document.random_seed = randomSeed;
  if (hasSince(version, '2015-10-15')) document.project_id = metadata.project_id;
  if (hasSince(version, '2016-06-30')) document.devices = [];
  if (hasSince(version, '2020-10-14')) document.dedicated_cpus = [];
  return document;
}
