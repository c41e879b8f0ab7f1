import { ensureDemoUser, ensureImage, ensurePublicNetwork, tinyImage } from '../lab/base.js';
import type { Cloud } from '../lab/cloud.js';
import { waitFor } from '../lab/commands.js';
import { ensureSecurityGroup, ensureTenantNetwork } from '../lab/demo.js';
import { labDown } from '../lab/down.js';
import { type LabNames, labFiles, labNames } from '../lab/names.js';
import { create, type Named, show } from '../lab/resources.js';
import { printStep } from '../lab/steps.js';
import { labUp, locked } from '../lab/up.js';

const API_PORT = 5190;

/** The lab that everything is measured in, with a tenant ready to make servers. */
export interface BenchLab {
  readonly lab: LabNames;
  readonly endpoint: string;
  readonly admin: Cloud;
  readonly demo: Cloud;
  readonly image: Named;
  readonly flavor: Named;
  readonly network: Named;
  readonly external: Named;
  readonly group: Named;
}

/** Starts the lab, runs the work, and removes the lab whatever happens. */
export async function withBenchLab<T>(work: (bench: BenchLab) => Promise<T>): Promise<T> {
  const lab = labNames('maru-lab-bench');
  const down = () => printStep('removing the lab', () => locked(lab, () => labDown(lab)));
  await down();
  try {
    const tiny = await printStep('tiny guest image', () => tinyImage(lab));
    const { admin } = await labUp(lab, { hosts: 1, apiPort: API_PORT }, printStep);
    return await work(await prepare(lab, admin, tiny.file));
  } finally {
    await down();
  }
}

async function prepare(lab: LabNames, admin: Cloud, imageFile: string): Promise<BenchLab> {
  const external = await ensurePublicNetwork(admin);
  const image = await ensureImage(admin, 'tiny', imageFile);
  const demo = await ensureDemoUser(labFiles(lab), admin);
  const network = await ensureTenantNetwork(demo, external.id);
  const group = await ensureSecurityGroup(demo);
  // small enough that two guests fit any machine that runs benchmarks
  const flavor = await create(admin, 'flavor', { name: 'bench', vcpus: 1, ram: 128, disk: 1 });
  const quota = { instances: -1, cores: -1, ram: -1 };
  await admin.call('compute', 'PUT', `/os-quota-sets/${demo.projectId}`, { quota_set: quota });
  await admin.call('network', 'PUT', `/v2.0/quotas/${demo.projectId}`, { quota: { port: -1 } });
  return { lab, endpoint: admin.endpoint, admin, demo, image, flavor, network, external, group };
}

/** Creates a server and waits for ACTIVE; gives it with the seconds from sending the request. */
export async function timedServer(bench: BenchLab, name: string): Promise<{ id: string; seconds: number }> {
  const { demo, image, flavor, network, group } = bench;
  const started = performance.now();
  const server = await create(demo, 'server', {
    name,
    imageRef: image.id,
    flavorRef: flavor.id,
    networks: [{ uuid: network.id }],
    security_groups: [{ name: group.name }],
  });
  await waitFor(
    `server ${name} to become ACTIVE`,
    120_000,
    async () => {
      const { status } = await show<Named & { status: string }>(demo, 'server', server.id);
      if (status === 'ERROR') throw new Error(`server ${name} is in ERROR`);
      return status === 'ACTIVE';
    },
    5,
  );
  return { id: server.id, seconds: (performance.now() - started) / 1000 };
}

/** Deletes a server and waits until it is gone. */
export async function removeServer(bench: BenchLab, id: string): Promise<void> {
  await bench.demo.call('compute', 'DELETE', `/servers/${id}`);
  await waitFor(`server ${id} to be gone`, 60_000, async () => {
    try {
      await show(bench.demo, 'server', id);
      return false;
    } catch {
      return true;
    }
  });
}
