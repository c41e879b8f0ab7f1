import type { ObjectKey } from '../../src/protocol/objects.js';

/** Where the metadata service is to listen: one address of one namespace, and the networks whose guests reach it there. */
export interface MetadataListener {
  readonly netns: string;
  readonly address: string;
  readonly port: number;
  readonly networkIds: readonly string[];
  /** The object that the namespace belongs to; reports what is wrong with the listener. */
  readonly object: ObjectKey;
}

/** Two listeners of the same id are the same socket. */
export function listenerId(listener: MetadataListener): string {
  return `${listener.netns} ${listener.address} ${listener.port}`;
}
