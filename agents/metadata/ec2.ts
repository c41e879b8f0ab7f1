import type { GuestMetadata } from '../../src/protocol/objects.js';

/** A folder of the EC2 tree: names to text or further folders. */
export type Ec2Tree = { readonly [name: string]: string | Ec2Tree };

/** `meta-data` in EC2's format, which older guests read. */
export function ec2MetaData(metadata: GuestMetadata): Ec2Tree {
  const fixed = metadata.networks.flatMap((nic) => nic.fixed_ips.filter((ip) => ip.subnet.ip_version === 4));
  const floating = metadata.networks.flatMap((nic) => nic.floating_ips);
  const sshKeys = metadata.keys.filter((key) => key.type === 'ssh');
  return {
    'ami-id': ec2Id('ami', metadata.image_id ?? metadata.uuid),
    'ami-launch-index': String(metadata.launch_index),
    'ami-manifest-path': '',
    'block-device-mapping': { ami: 'vda', root: '/dev/vda' },
    hostname: metadata.hostname,
    'instance-action': 'none',
    'instance-id': ec2Id('i', metadata.uuid),
    'instance-type': metadata.instance_type,
    'local-hostname': metadata.hostname,
    'local-ipv4': fixed[0]?.ip_address ?? '',
    placement: { 'availability-zone': metadata.availability_zone },
    'public-hostname': metadata.hostname,
    'public-ipv4': floating[0] ?? '',
    ...(sshKeys.length > 0
      ? {
          'public-keys': Object.fromEntries(
            sshKeys.map((key, index) => [`${index}=${key.name}`, { 'openssh-key': key.data }]),
          ),
        }
      : {}),
    'reservation-id': ec2Id('r', metadata.uuid),
    'security-groups': metadata.security_groups.join('\n'),
  };
}

/**
 * Looks a path up. A folder gives its names, folders with a slash; `public-keys` lists `0=name` and is entered by `0`. Null:
 * there is nothing.
 */
export function ec2Lookup(tree: Ec2Tree, path: readonly string[]): string | null {
  let node: string | Ec2Tree = tree;
  for (const part of path) {
    if (typeof node === 'string') return null;
    const name: string | undefined = Object.keys(node).find(
      (key) => key === part || key.split('=')[0] === part,
    );
    const next: string | Ec2Tree | undefined = name === undefined ? undefined : node[name];
    if (next === undefined) return null;
    node = next;
  }
  if (typeof node === 'string') return node;
  return Object.entries(node)
    .map(([name, value]) => (typeof value === 'string' || name.includes('=') ? name : `${name}/`))
    .join('\n');
}

/** EC2 names things by a prefix and 8 hexadecimal digits; these are the first of the uuid. */
function ec2Id(prefix: string, uuid: string): string {
  return `${prefix}-${uuid.replaceAll('-', '').slice(0, 8)}`;
}
