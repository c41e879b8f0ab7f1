import { cidrContains } from '../../net/cidr.js';
import { ipVersion } from '../../net/ip.js';
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

/** The guest's own address that is traced: the floating IP's, else one of the sender's IP version. */
export function tracedAddress({ port, floating, traffic }: TraceScene): string | null {
  const version = traffic.from === null ? null : ipVersion(traffic.from.split('/')[0]!);
  const addresses = port?.addresses ?? [];
  return floating?.fixed ?? addresses.find((one) => ipVersion(one) === version) ?? addresses[0] ?? null;
}

/** The router's interface towards the guest: the one whose block has the guest's address, or any in its network. */
export function innerPort(scene: TraceScene, router: RouterObject) {
  const { port } = scene;
  const address = tracedAddress(scene);
  const own = router.interfaces.filter((one) => one.network_id === port?.network_id);
  return (
    own.find((one) => one.addresses.some((cidr) => address && cidrContains(cidr, address))) ?? own[0] ?? null
  );
}
