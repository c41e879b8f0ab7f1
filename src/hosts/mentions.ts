import type { ObjectKind } from '../protocol/objects.js';

/** Which hosts' specs mention an id, kept as specs are computed kind by kind. */
export class MentionIndex {
  readonly #byHost = new Map<string, Map<ObjectKind, ReadonlySet<string>>>();
  /** id → host → in how many kinds. */
  readonly #hosts = new Map<string, Map<string, number>>();

  /** Hosts whose last computed spec mentions the id. */
  hostsOf(id: string): Iterable<string> {
    return this.#hosts.get(id)?.keys() ?? [];
  }

  /** True when the host's last computed spec mentions the id. */
  mentions(hostId: string, id: string): boolean {
    return this.#hosts.get(id)?.has(hostId) ?? false;
  }

  /** Replaces what a host's objects of one kind mention. */
  set(hostId: string, kind: ObjectKind, ids: ReadonlySet<string>): void {
    const kinds = this.#byHost.get(hostId) ?? new Map<ObjectKind, ReadonlySet<string>>();
    const before = kinds.get(kind);
    for (const id of ids) if (!before?.has(id)) this.#count(id, hostId, 1);
    if (before) for (const id of before) if (!ids.has(id)) this.#count(id, hostId, -1);
    kinds.set(kind, ids);
    this.#byHost.set(hostId, kinds);
  }

  forget(hostId: string): void {
    for (const ids of this.#byHost.get(hostId)?.values() ?? []) {
      for (const id of ids) this.#count(id, hostId, -1);
    }
    this.#byHost.delete(hostId);
  }

  #count(id: string, hostId: string, by: 1 | -1): void {
    const hosts = this.#hosts.get(id) ?? new Map<string, number>();
    const count = (hosts.get(hostId) ?? 0) + by;
    if (count > 0) hosts.set(hostId, count);
    else hosts.delete(hostId);
    if (hosts.size > 0) this.#hosts.set(id, hosts);
    else this.#hosts.delete(id);
  }
}
