import type { RouterObject } from '../../protocol/objects.js';
import { innerPort, Looked, objectOf, segmentOf } from './hops.js';
import type { Hop, TraceHost, TraceScene } from './model.js';

/** Bytes that VXLAN over IPv4 puts before a packet. */
const VXLAN_BYTES = 50;

/** Between the router's host and the guest's: there, and back. Nothing where the guest's network is not tunnelled. */
export function tunnelHops(
  scene: TraceScene,
  from: TraceHost,
  to: TraceHost,
  router: RouterObject,
): readonly Hop[] {
  const port = scene.port!;
  const object = objectOf(from.spec, 'network', port.network_id);
  const network = segmentOf(from.spec, port.network_id);
  const key = `network/${port.network_id}` as const;
  const [near, far] = [new Looked(from, key), new Looked(to, key)];
  const told = far.told([key, `port/${port.id}`, `server/${scene.server?.id}`], "guest's host");
  if (!network || !object) return [told];
  if (network.type !== 'vxlan') {
    return [
      told,
      ...(network.type === 'flat' ? [far.hop('uplink', { kind: 'uplink' as const, network })] : []),
    ];
  }
  const inner = innerPort(scene, router);
  const mtu = object.mtu + VXLAN_BYTES;
  return [
    near.hop('tunnel', { kind: 'tunnel', network }),
    near.hop(`guest's MAC → ${to.name}`, { kind: 'fdb', network, mac: port.mac, vtep: to.underlay_ip }),
    near.hop(`flooding → ${to.name}`, { kind: 'fdb', network, mac: null, vtep: to.underlay_ip }),
    near.hop(`underlay → ${to.name}`, { kind: 'underlay', vtep: to.underlay_ip, mtu }),
    told,
    far.hop('tunnel', { kind: 'tunnel', network }),
    ...(inner
      ? [
          far.hop(`router's MAC → ${from.name}`, {
            kind: 'fdb' as const,
            network,
            mac: inner.mac,
            vtep: from.underlay_ip,
          }),
        ]
      : []),
    far.hop(`flooding → ${from.name}`, { kind: 'fdb', network, mac: null, vtep: from.underlay_ip }),
  ];
}
