import { cidrContains } from '../../net/cidr.js';
import type { ObjectBodies, ObjectKey, ObjectKind, RouterObject, Spec } from '../../protocol/objects.js';
import type { Segment, TraceCheck } from '../../protocol/trace.js';
import type { Hop, TraceHost, TraceScene, Verdict } from './model.js';

/** A hop that the database itself decides. */
export function database(what: string, object: string | null, verdict: Verdict): Hop {
  const key = object?.includes('/') ? (object as ObjectKey) : null;
  return { host: null, what, object: key, judge: { verdict } };
}

/** Makes hops that are to be looked at on one host. */
export class Looked {
  readonly host: TraceHost;
  readonly #object: ObjectKey;

  /** `object`: what its hops are part of, where nothing else is said. */
  constructor(host: TraceHost, object: ObjectKey) {
    this.host = host;
    this.#object = object;
  }

  hop(what: string, check: TraceCheck, object: ObjectKey = this.#object): Hop {
    const { id, name } = this.host;
    return { host: { id, name }, what, object, judge: { check } };
  }

  /** The agent answers, and holds these objects as the database has them. */
  told(keys: readonly ObjectKey[], what: string): Hop {
    const objects = [...new Set(keys)].flatMap((key) => {
      const object = this.host.spec[key];
      return object ? [{ key, revision: object.revision }] : [];
    });
    return this.hop(what, { kind: 'told', objects });
  }

  namespace(of: 'router' | 'dhcp', id: string): Hop {
    return this.hop(`${of === 'router' ? "router's" : 'DHCP'} namespace`, {
      kind: 'namespace',
      netns: { of, id },
    });
  }
}

/** One object of a spec. */
export function objectOf<K extends ObjectKind>(spec: Spec, kind: K, id: string): ObjectBodies[K] | null {
  const object = spec[`${kind}/${id}`];
  return object && !object.tombstone ? (object.body as ObjectBodies[K]) : null;
}

/** What names a network's segment on a host; null: the host does not have the network. */
export function segmentOf(spec: Spec, networkId: string): Segment | null {
  const network = objectOf(spec, 'network', networkId);
  if (!network) return null;
  const { id, type, physical_network, segmentation_id } = network;
  return { id, type, physical_network, segmentation_id };
}

/** The router's interface towards the guest: the one whose block has the guest's address, or any in its network. */
export function innerPort({ port, floating }: TraceScene, router: RouterObject) {
  const address = floating?.fixed ?? port?.addresses[0];
  const own = router.interfaces.filter((one) => one.network_id === port?.network_id);
  return (
    own.find((one) => one.addresses.some((cidr) => address && cidrContains(cidr, address))) ?? own[0] ?? null
  );
}
