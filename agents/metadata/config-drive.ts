import { randomBytes } from 'node:crypto';
import type { GuestMetadata } from '../../src/protocol/objects.js';
import { type Ec2Tree, ec2MetaData } from './ec2.js';
import { openstackFile, openstackFileNames } from './openstack.js';
import { LATEST, OPENSTACK_VERSIONS } from './versions.js';

/** A fresh seed for a guest's random number generator. */
export function newRandomSeed(): string {
  return randomBytes(512).toString('base64');
}

/** The files of a server's config drive by path: what the metadata service answers, without its password. */
export function configDriveFiles(
  metadata: GuestMetadata,
  randomSeed = newRandomSeed(),
): Record<string, string | Buffer> {
  const files: Record<string, string | Buffer> = {};
  for (const [folder, version] of [
    ...OPENSTACK_VERSIONS.map((v) => [v, v] as const),
    ['latest', LATEST] as const,
  ]) {
    for (const name of openstackFileNames(metadata, version)) {
      const content = openstackFile(metadata, version, name, randomSeed);
      if (content !== null) files[`openstack/${folder}/${name}`] = content;
    }
  }
  for (const folder of ['2009-04-04', 'latest']) {
    files[`ec2/${folder}/meta-data.json`] = JSON.stringify(ec2Json(ec2MetaData(metadata)));
    if (metadata.user_data !== null)
      files[`ec2/${folder}/user-data`] = Buffer.from(metadata.user_data, 'base64');
  }
  return files;
}

/** The EC2 tree as one JSON document: keys lose their index's name, which only listings show. */
function ec2Json(tree: Ec2Tree): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, value]) => [
      name.split('=')[0],
      typeof value === 'string' ? value : ec2Json(value),
    ]),
  );
}
