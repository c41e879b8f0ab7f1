import { normaliseCidr } from '../../../src/net/cidr.js';
import { ipVersion } from '../../../src/net/ip.js';
import { routerGatewayName } from '../../../src/net/names.js';
import type { ObjectKey, RouterObject } from '../../../src/protocol/objects.js';
import { type DesiredTable, type DesiredTables, tableKey } from '../firewall/iptables/model.js';

/** Port in the router's namespace that the metadata service listens on. */
export const METADATA_PORT = 9697;
/** Address that guests ask for their metadata. */
export const METADATA_ADDRESS = '169.254.169.254';

/** NAT and filter rules of a router's namespace. */
export function routerTables(router: RouterObject, owner: ObjectKey): DesiredTables {
  const gateway = router.external ? routerGatewayName(router.external.port_id) : null;
  return new Map([
    [tableKey(4, 'nat'), nat(router, owner, gateway)],
    [tableKey(4, 'filter'), filter(router, owner, gateway)],
    [tableKey(6, 'filter'), ownServices(owner, [])],
  ]);
}

function nat(router: RouterObject, owner: ObjectKey, gateway: string | null): DesiredTable {
  const floating =
    gateway === null ? [] : router.floating_ips.filter((f) => ipVersion(f.fixed_ip_address) === 4);
  const towards = floating.map(
    (f) => `-d ${f.floating_ip_address}/32 -j DNAT --to-destination ${f.fixed_ip_address}`,
  );
  const source = router.external?.addresses.map((a) => a.split('/')[0]!).find((a) => ipVersion(a) === 4);
  const chains = new Map([
    [
      'maru-PREROUTING',
      [
        `-d ${METADATA_ADDRESS}/32 -i qr-+ -p tcp -m tcp --dport 80 -j REDIRECT --to-ports ${METADATA_PORT}`,
        ...towards,
      ],
    ],
    ['maru-OUTPUT', towards],
    [
      'maru-POSTROUTING',
      gateway === null
        ? []
        : [
            // between tenant subnets nothing is translated
            `! -o ${gateway} -m conntrack ! --ctstate DNAT -j ACCEPT`,
            '-j maru-float-snat',
            ...hairpin(router, source),
            ...(source && router.external?.enable_snat ? ['-j maru-snat'] : []),
          ],
    ],
    [
      'maru-float-snat',
      floating.flatMap((f) => {
        const snat = `-j SNAT --to-source ${f.floating_ip_address}`;
        const own = `-s ${f.fixed_ip_address}/32`;
        // back through the router: the peer must see the floating IP, or it would answer directly
        return [`${own} -o ${gateway} ${snat}`, `${own} -o qr-+ -m conntrack --ctstate DNAT ${snat}`];
      }),
    ],
    [
      'maru-snat',
      source && gateway && router.external?.enable_snat
        ? [`-o ${gateway} -j SNAT --to-source ${source}`]
        : [],
    ],
  ]);
  return {
    chains: new Map([...chains].map(([name, rules]) => [name, { owner, rules }])),
    jumps: new Map([
      ['PREROUTING', ['-j maru-PREROUTING']],
      ['OUTPUT', ['-j maru-OUTPUT']],
      ['POSTROUTING', ['-j maru-POSTROUTING']],
    ]),
  };
}

/** Guests without a floating IP that speak to one of their own router are seen as the router. */
function hairpin(router: RouterObject, source: string | undefined): string[] {
  if (source === undefined) return [];
  return internalNetworks(router).map(
    (net) => `-s ${net} -o qr-+ -m conntrack --ctstate DNAT -j SNAT --to-source ${source}`,
  );
}

function internalNetworks(router: RouterObject): string[] {
  const own = router.interfaces.flatMap(({ addresses }) => addresses).map(normaliseCidr);
  const behind = router.routes.map(({ destination }) => normaliseCidr(destination));
  return [...new Set([...own, ...behind])].filter((cidr) => !cidr.includes(':') && !cidr.endsWith('/0'));
}

/**
 * The outside reaches tenant networks only through floating IPs. Without SNAT the networks are meant to be routed, so
 * their guests' security groups alone decide.
 */
function filter(router: RouterObject, owner: ObjectKey, gateway: string | null): DesiredTable {
  const services = ownServices(owner, gateway === null ? [] : onlyItsOwn(router, gateway));
  const closed = gateway !== null && router.external?.enable_snat;
  const rules = closed
    ? [
        '-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
        `-i ${gateway} -m conntrack --ctstate DNAT -j ACCEPT`,
        `-i ${gateway} -j DROP`,
      ]
    : [];
  return {
    chains: new Map([...services.chains, ['maru-FORWARD', { owner, rules }]]),
    jumps: new Map([...services.jumps, ['FORWARD', ['-j maru-FORWARD']]]),
  };
}

/**
 * From outside the router answers for its own address and no other: while a floating IP's address is there and its translation is
 * not yet, or no longer, the router must not be taken for the guest.
 */
function onlyItsOwn(router: RouterObject, gateway: string): string[] {
  const own = (router.external?.addresses ?? [])
    .map((a) => a.split('/')[0]!)
    .filter((a) => ipVersion(a) === 4);
  return [
    ...own.map((address) => `-d ${address}/32 -i ${gateway} -j RETURN`),
    `-i ${gateway} -m addrtype --dst-type LOCAL -j DROP`,
  ];
}

/** The metadata service answers tenants only. */
function ownServices(owner: ObjectKey, more: readonly string[]): DesiredTable {
  const rules = [`! -i qr-+ -p tcp -m tcp --dport ${METADATA_PORT} -j DROP`, ...more];
  return {
    chains: new Map([['maru-INPUT', { owner, rules }]]),
    jumps: new Map([['INPUT', ['-j maru-INPUT']]]),
  };
}
