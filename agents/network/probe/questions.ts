import type { ProbeReply, ProbeRequest } from '../../../src/protocol/messages.js';
import type { ObjectKey, RouterObject, Spec } from '../../../src/protocol/objects.js';
import { bridgeOf } from '../bridge/desired.js';
import type { NetworkContext } from '../config.js';
import { type Failures, objectOf } from '../model.js';
import { type BridgeTarget, probe } from './probe.js';

/** Answers the controller's question who has addresses on networks of this host. */
export async function answerProbe(context: NetworkContext, request: ProbeRequest): Promise<ProbeReply> {
  const present = await bridges(context);
  const unknown: string[] = [];
  const targets: (BridgeTarget & { readonly networkId: string })[] = [];
  for (const { network, addresses } of request.targets) {
    const bridge = bridgeName(context, network);
    if (bridge === null || !present.has(bridge)) unknown.push(network.id);
    else targets.push({ networkId: network.id, bridge, addresses });
  }
  const answers = await probe(context, targets);
  return {
    unknown_networks: unknown,
    answers: answers.map(({ bridge, address, mac }) => ({
      network_id: targets.find((t) => t.bridge === bridge && t.addresses.includes(address))!.networkId,
      address,
      mac,
    })),
  };
}

/**
 * The routers that are not to run here: somebody else answers for them already, on a tenant network or outside, or that cannot be
 * found out. Each becomes a failure; never throws. Their networks must be on the host, and nothing of the routers themselves.
 */
export async function othersAnswering(
  context: NetworkContext,
  spec: Spec,
  routers: ReadonlySet<ObjectKey>,
  failures: Failures,
): Promise<ReadonlySet<ObjectKey>> {
  try {
    return await answeredFor(context, spec, routers, failures);
  } catch (error) {
    context.log.warn('routers cannot be asked for together, each is asked for by itself', { error });
  }
  const left = new Set<ObjectKey>();
  for (const key of routers) {
    try {
      for (const each of await answeredFor(context, spec, new Set([key]), failures)) left.add(each);
    } catch (error) {
      failures.addThrown(
        key,
        error,
        'It stays off here until its networks can be asked: this is tried again.',
      );
      left.add(key);
    }
  }
  return left;
}

interface RouterTarget extends BridgeTarget {
  readonly key: ObjectKey;
}

async function answeredFor(
  context: NetworkContext,
  spec: Spec,
  routers: ReadonlySet<ObjectKey>,
  failures: Failures,
): Promise<ReadonlySet<ObjectKey>> {
  const owners: RouterTarget[] = [];
  const present = await bridges(context);
  for (const key of routers) {
    const router = spec[key]?.body as RouterObject | undefined;
    if (!router?.admin_state_up) continue;
    for (const port of [...router.interfaces, ...(router.external ? [router.external] : [])]) {
      const network = objectOf(spec, 'network', port.network_id);
      const bridge = network ? bridgeName(context, network) : null;
      // a router whose network is not there fails by itself
      if (bridge === null || !present.has(bridge)) continue;
      owners.push({ key, bridge, addresses: port.addresses.map((cidr) => cidr.split('/')[0]!) });
    }
  }
  const answered = new Set<ObjectKey>();
  for (const { bridge, address, mac } of await probe(context, owners)) {
    const found = owners.find((o) => o.bridge === bridge && o.addresses.includes(address))!;
    answered.add(found.key);
    failures.add(found.key, {
      code: 'address-in-use',
      message: `${address} of ${found.key} is answered for by ${mac} behind ${bridge}: another host may run the router by now`,
      hint: 'It stays off here until the controller has confirmed that no other host runs it, or nobody answers any more.',
    });
  }
  return answered;
}

function bridgeName(
  context: NetworkContext,
  network: ProbeRequest['targets'][number]['network'],
): string | null {
  try {
    return bridgeOf(network, context.config).name;
  } catch {
    return null;
  }
}

async function bridges({ host }: NetworkContext): Promise<ReadonlySet<string>> {
  const { stdout } = await host.read('ip', ['-j', 'link', 'show', 'type', 'bridge']);
  return new Set((JSON.parse(stdout || '[]') as { ifname?: string }[]).flatMap(({ ifname }) => ifname ?? []));
}
