import { randomBytes } from 'node:crypto';
import { copyFile, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Cloud, type Credentials } from './cloud.js';
import { writeClouds } from './clouds-yaml.js';
import { machine } from './commands.js';
import type { DemoFiles } from './demo.js';
import { EXTERNAL, type LabNames, labFiles } from './names.js';
import { findOrCreate, list, type Named } from './resources.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const IMAGE_BUILD_MS = 900_000;

/** Builds the tiny image (or finds that nothing has changed) and keeps it with the lab; gives its path and who logs in. */
export async function tinyImage(lab: LabNames): Promise<{ file: string; sshUser: string }> {
  const built = `${ROOT}build/images/tiny.qcow2`;
  await machine.run(`${ROOT}scripts/build-tiny-image`, ['--output', built], { timeoutMs: IMAGE_BUILD_MS });
  const file = labFiles(lab).tinyImage;
  await machine.makeDirectory(dirname(file), 0o755);
  const [from, to] = [await machine.stat(built), await machine.stat(file)];
  if (!to || from?.size !== to.size || (from?.mtimeMs ?? 0) > to.mtimeMs) {
    await machine.removeFile(file);
    await copyFile(built, file);
  }
  const { ssh_user: sshUser } = JSON.parse(await readFile(`${built}.json`, 'utf8')) as { ssh_user: string };
  return { file, sshUser };
}

/** Uploads a public image unless one of this name is active. */
export async function ensureImage(admin: Cloud, name: string, file: string): Promise<Named> {
  const { images } = await admin.call<{ images: (Named & { status: string })[] }>(
    'image',
    'GET',
    `/v2/images?name=${name}`,
  );
  const active = images.find((image) => image.status === 'active');
  if (active) return active;
  for (const broken of images) await admin.call('image', 'DELETE', `/v2/images/${broken.id}`);
  const attributes = { name, disk_format: 'qcow2', container_format: 'bare', visibility: 'public' };
  const image = await admin.call<Named>('image', 'POST', '/v2/images', attributes);
  const headers = { 'content-type': 'application/octet-stream' };
  await admin.call(
    'image',
    'PUT',
    `/v2/images/${image.id}/file`,
    new Uint8Array(await readFile(file)),
    headers,
  );
  const { status } = await admin.call<{ status: string }>('image', 'GET', `/v2/images/${image.id}`);
  if (status !== 'active')
    throw new Error(`image ${name} (${image.id}) is ${status} after its upload, not active`);
  return image;
}

/** What there is outside: the physical network's alias, its addresses, and those of them that are the cloud's. */
export interface Outside {
  readonly physicalNetwork: string;
  readonly cidr: string;
  readonly gateway: string | null;
  readonly poolStart: string;
  readonly poolEnd: string;
}

/** The external flat network `public` on br-ex, with an allocation pool that leaves the outside world its addresses. */
export async function ensurePublicNetwork(admin: Cloud, outside: Outside = EXTERNAL): Promise<Named> {
  const network = await findOrCreate(admin, 'network', 'public', {
    'router:external': true,
    'provider:network_type': 'flat',
    'provider:physical_network': outside.physicalNetwork,
  });
  await findOrCreate(admin, 'subnet', 'public', {
    network_id: network.id,
    ip_version: 4,
    cidr: outside.cidr,
    gateway_ip: outside.gateway,
    allocation_pools: [{ start: outside.poolStart, end: outside.poolEnd }],
    enable_dhcp: false,
  });
  return network;
}

/** Project and user `demo`; writes both clouds to clouds.yaml. */
export async function ensureDemoUser(files: DemoFiles, admin: Cloud): Promise<Cloud> {
  const password =
    (await machine.readFileIfExists(files.demoPassword)) ?? randomBytes(18).toString('base64url');
  await machine.writeFile(files.demoPassword, password, 0o600);
  const project = await findOrCreate(
    admin,
    'project',
    'demo',
    { domain_id: 'default' },
    { domain_id: 'default' },
  );
  const attributes = { domain_id: 'default', default_project_id: project.id, password };
  const user = await findOrCreate(admin, 'user', 'demo', attributes, { domain_id: 'default' });
  const member = (await list(admin, 'role', { name: 'member' }))[0];
  if (!member) throw new Error('the cloud has no role "member"');
  await admin.call('identity', 'PUT', `/projects/${project.id}/users/${user.id}/roles/${member.id}`);

  const credentials: Credentials = { username: 'demo', password, project: 'demo' };
  const { endpoint, ca } = admin;
  const cacert = ca === undefined ? null : `${dirname(files.clouds)}/ca.pem`;
  if (ca !== undefined && cacert) await machine.writeFile(cacert, ca, 0o644);
  await writeClouds(files.clouds, { endpoint, cacert }, { maru: admin.credentials, demo: credentials });
  const demo = new Cloud(endpoint, credentials, ca);
  await demo.authenticate();
  return demo;
}

/** The flavor of this name. */
export async function flavorNamed(cloud: Cloud, name: string): Promise<Named> {
  const flavors = await list(cloud, 'flavor');
  const found = flavors.find((flavor) => flavor.name === name);
  if (!found)
    throw new Error(`the cloud has no flavor ${name}, only: ${flavors.map((f) => f.name).join(', ')}`);
  return found;
}
