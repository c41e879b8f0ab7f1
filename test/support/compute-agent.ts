import { createComputePart } from '../../agents/compute/part.js';
import type { Host } from '../../agents/host/host.js';
import { createStoragePart } from '../../agents/storage/part.js';
import type { ObjectKey, Spec } from '../../src/protocol/objects.js';
import { memoryLog } from './guests.js';
import { LIBVIRT_URI } from './lab-host.js';

/** An agent's storage and compute over a lab host; several may follow each other, as after restarts. */
export function computeAgent(
  host: Host,
  stateDir: string,
  fetchImage: (id: string) => Promise<NodeJS.ReadableStream>,
  bootId = 'boot-1',
  shutdownTimeoutMs = 2_000,
) {
  const log = memoryLog();
  const storage = createStoragePart({
    host,
    stateDir,
    log,
    fetchImage,
    diskUser: (path) => compute.diskUser(path),
  });
  const compute = createComputePart({
    host,
    stateDir,
    libvirtUri: LIBVIRT_URI,
    virtType: 'qemu',
    bootId,
    storage,
    portReady: () => null,
    shutdownTimeoutMs,
    log,
  });
  const apply = async (spec: Spec, changed: ReadonlySet<ObjectKey> | null = null) => [
    ...(await storage.apply({ spec, changed })),
    ...(await compute.apply({ spec, changed })),
  ];
  const plan = async (spec: Spec) => [...(await storage.plan(spec)), ...(await compute.plan(spec))];
  return { storage, compute, apply, plan, stateDir, log, close: () => compute.close?.() };
}
