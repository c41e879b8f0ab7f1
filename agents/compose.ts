import type { Logger } from '../src/protocol/log.js';
import { type ComputePart, createComputePart } from './compute/part.js';
import type { AgentConfig } from './config.js';
import type { Host } from './host/host.js';
import { createMetadataPart } from './metadata/part.js';
import { metadataListeners } from './network/metadata-listeners.js';
import { namespaceOwner } from './network/namespace/model.js';
import { createNetworkPart, type NetworkPart } from './network/part.js';
import { watchPorts } from './port-readiness.js';
import type { Parts } from './reconciler.js';
import { createStoragePart } from './storage/part.js';

export interface CompositionOptions {
  readonly host: Host;
  readonly config: AgentConfig;
  readonly virtType: 'kvm' | 'qemu';
  readonly bootId: string;
  readonly fetchImage: (imageId: string) => Promise<NodeJS.ReadableStream>;
  readonly log: Logger;
}

/** The agent's parts, each given what it needs of the others. */
export function composeParts(
  options: CompositionOptions,
): Parts & { readonly network: NetworkPart; readonly compute: ComputePart } {
  const { host, config, log } = options;
  const stateDir = config.state_dir;
  const { part: network, portReady } = watchPorts(
    createNetworkPart({ host, config, log: log.with({ part: 'network' }) }),
  );
  const storage = createStoragePart({
    host,
    stateDir,
    fetchImage: options.fetchImage,
    pruneAfterDays: () => config.image_cache_days,
    diskUser: (path): Promise<string | null> => compute.diskUser(path),
    log: log.with({ part: 'storage' }),
  });
  const compute: ComputePart = createComputePart({
    host,
    stateDir,
    libvirtUri: config.libvirt_uri,
    virtType: options.virtType,
    bootId: options.bootId,
    storage,
    portReady,
    log: log.with({ part: 'compute' }),
  });
  const metadata = createMetadataPart({
    host,
    stateDir,
    listeners: (spec) =>
      metadataListeners(spec).map(({ network_ids, ...socket }) => ({
        ...socket,
        networkIds: network_ids,
        object: namespaceOwner(socket.netns),
      })),
    log: log.with({ part: 'metadata' }),
  });
  return { network, storage, compute, metadata };
}
