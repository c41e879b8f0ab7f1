import { countFlavors } from '../../store/compute/flavor.js';
import type { App } from '../app.js';
import { addFlavor } from './flavor.js';

/** Name, vCPUs, memory in MB, root disk in GB: the sizes that every OpenStack user knows, with the ids they had there. */
const DEFAULTS: readonly (readonly [id: string, name: string, vcpus: number, mb: number, gb: number])[] = [
  ['1', 'm1.tiny', 1, 512, 1],
  ['2', 'm1.small', 1, 2048, 20],
  ['3', 'm1.medium', 2, 4096, 40],
  ['4', 'm1.large', 4, 8192, 80],
  ['5', 'm1.xlarge', 8, 16_384, 160],
];

/** Makes the default flavors in a new installation; one that has any flavor is left alone. */
export async function createDefaultFlavors(app: Pick<App, 'store'>): Promise<void> {
  await app.store.tx(async (tx) => {
    if ((await countFlavors(tx)) > 0) return;
    for (const [id, name, vcpus, memory_mb, root_gb] of DEFAULTS) {
      await addFlavor(tx, {
        id,
        name,
        vcpus,
        memory_mb,
        root_gb,
        ephemeral_gb: 0,
        swap_mb: 0,
        rxtx_factor: 1,
        is_public: true,
        description: null,
      });
    }
  });
}
