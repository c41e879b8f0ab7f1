import { randomUUID } from 'node:crypto';
import type { App } from '../../src/core/app.js';
import { insertServer } from '../../src/store/compute/server.js';
import { nowText } from '../../src/store/store.js';
import type { TestUser } from './app.js';

/** An active server of somebody's, in the database only: for requests about servers where nothing is to run. Returns its id. */
export async function makeServerRow(app: App, { projectId, userId }: TestUser): Promise<string> {
  const id = randomUUID();
  const flavor = { name: 'm1.tiny', vcpus: 1, ram: 512, disk: 1, ephemeral: 0, swap: 0, extra_specs: {} };
  await app.store.tx((tx) =>
    insertServer(tx, {
      id,
      project_id: projectId,
      user_id: userId,
      name: 'server',
      hostname: 'server',
      reservation_id: 'r-1',
      launch_index: 0,
      flavor: JSON.stringify(flavor),
      flavor_id: 'f',
      vcpus: 1,
      memory_mb: 512,
      config_drive: 0,
      metadata: '{}',
      disk_config: 'AUTO',
      hardware: '{}',
      host_id: null,
      run_epoch: 1,
      power: 'running',
      soft_reboots: 0,
      hard_reboots: 0,
      locked: 0,
      build_attempts: 1,
      failed_hosts: '[]',
      failed: 0,
      vm_state: 'active',
      status: 'ACTIVE',
      created_at: nowText(),
      updated_at: nowText(),
      revision: 1,
    }),
  );
  return id;
}
