import { ipVersion } from '../../net/ip.js';
import { addressesOfPorts } from '../../store/network/address.js';
import { subnetsOfNetworks } from '../../store/network/network.js';
import { floatingIpsOfRouter } from '../../store/network/router.js';
import { findRow, findRows, updateRow } from '../../store/network/rows.js';
import { recordChange, type Tx } from '../../store/store.js';
import type { NetworkTables } from '../../store/tables/network.js';
import { claimAutomaticIps, claimFixedIps, type FixedIpRequest } from '../address/fixed-ips.js';
import { giveBackAddresses } from '../address/give-back.js';
import type { App } from '../app.js';
import type { Context } from '../context.js';
import { badRequest, conflict } from '../errors.js';
import { findVisible } from '../network/access.js';
import { networkNotFound } from '../network/problems.js';
import { insertPort } from '../port/insert.js';
import { removePort } from '../port/remove.js';
import { checkNoOverlap, connectedSubnets } from './interfaces.js';
import { placeRouter } from './place.js';

type Router = NetworkTables['router'];

/** The gateway a router is to have. */
export interface GatewayInfo {
  readonly network_id: string;
  readonly enable_snat?: boolean | undefined;
  readonly external_fixed_ips?: readonly FixedIpRequest[] | undefined;
}

/** Sets, changes or (null) takes away a router's gateway. */
export async function setGateway(
  tx: Tx,
  app: App,
  ctx: Context,
  router: Router,
  info: GatewayInfo | null,
): Promise<void> {
  await app.store.lockFamily(tx, router.id, 'router');
  if (router.gateway_port_id && router.gateway_network_id !== info?.network_id)
    await clearGateway(tx, router);
  if (!info) return;
  const network = await findVisible(tx, ctx, 'network', info.network_id, networkNotFound);
  if (!network.external) {
    throw badRequest(`Bad router request: Network ${network.id} is not an external network.`, 'BadRequest');
  }
  const enable_snat = info.enable_snat === false ? 0 : 1;
  if (router.gateway_port_id && router.gateway_network_id === info.network_id) {
    if (info.external_fixed_ips) await replaceGatewayIps(tx, router.gateway_port_id, info.external_fixed_ips);
    await updateRow(tx, 'router', router.id, { enable_snat });
  } else {
    const subnets = await subnetsOfNetworks(tx, [network.id]);
    checkNoOverlap(subnets, await connectedSubnets(tx, router.id, ['network:router_interface']));
    const port = await insertPort(tx, network, subnets, {
      // it belongs to the installation: tenants neither see nor pay for it
      project_id: '',
      device_id: router.id,
      device_owner: 'network:router_gateway',
      port_security_enabled: 0,
      fixed_ips: info.external_fixed_ips?.length ? info.external_fixed_ips : undefined,
    });
    await updateRow(tx, 'router', router.id, {
      gateway_port_id: port.id,
      gateway_network_id: network.id,
      enable_snat,
    });
    await placeRouter(tx, app, router.id);
  }
  await recordChange(tx, 'router', router.id, ctx.requestId);
  await recordChange(tx, 'network', network.id, ctx.requestId);
}

/** Takes a router's gateway away; refused while floating IPs go through it. */
export async function clearGateway(tx: Tx, router: Router): Promise<void> {
  if (!router.gateway_port_id) return;
  const floating = await floatingIpsOfRouter(tx, router.id);
  if (floating.length > 0) {
    throw conflict(
      `Gateway cannot be updated for router ${router.id}, since a gateway to external network ${router.gateway_network_id} is required by one or more floating IPs.`,
      'RouterExternalGatewayInUseByFloatingIp',
    );
  }
  const [port] = await findRows(tx, 'port', [router.gateway_port_id]);
  await updateRow(tx, 'router', router.id, {
    gateway_port_id: null,
    gateway_network_id: null,
    enable_snat: 1,
  });
  if (port) await removePort(tx, port);
  await recordChange(tx, 'router', router.id);
}

async function replaceGatewayIps(tx: Tx, portId: string, wanted: readonly FixedIpRequest[]): Promise<void> {
  const port = await findRow(tx, 'port', portId);
  if (!port) return;
  const current = await addressesOfPorts(tx, [port.id]);
  const subnets = await subnetsOfNetworks(tx, [port.network_id]);
  const keeps = (request: FixedIpRequest) =>
    current.find((a) =>
      request.ip_address === undefined
        ? a.subnet_id === request.subnet_id
        : ipVersion(request.ip_address) !== null && a.ip_address === request.ip_address,
    );
  const kept = wanted.map(keeps).filter((a) => a !== undefined);
  const dropped = current.filter((a) => !kept.includes(a)).map((a) => a.ip_address);
  if (dropped.length) await giveBackAddresses(tx, port, dropped);
  const added = wanted.filter((request) => !keeps(request));
  if (wanted.length === 0) await claimAutomaticIps(tx, port, port.device_owner, subnets);
  else await claimFixedIps(tx, port, port.device_owner, subnets, added, kept.length);
}
