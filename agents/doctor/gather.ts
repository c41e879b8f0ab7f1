import type { Role } from '../../src/protocol/doctor.js';
import type { Host } from '../host/host.js';
import { readFirewall } from './facts/firewall.js';
import {
  readKvm,
  readMemory,
  readModules,
  readProcessor,
  readSysctls,
  readSystem,
  readUid,
} from './facts/machine.js';
import {
  providerBridges,
  readDefaultRoutes,
  readDuplicates,
  readLinks,
  readRouterForwarding,
  readTunnelPeers,
} from './facts/network.js';
import { readClosed } from './facts/sandbox.js';
import {
  readDefaultNetwork,
  readDenials,
  readLibvirt,
  readLibvirtGuests,
  readProcesses,
  readPrograms,
  readSockets,
  readTimeSync,
  readUnits,
} from './facts/services.js';
import { readFileSystems, readFiles } from './facts/storage.js';
import { readTakeover } from './facts/takeover.js';
import { type Contact, contactController, readCertificates, readIdentity } from './facts/trust.js';
import type { DatabaseFacts, Fact, Facts, Settings } from './facts.js';
import { fact, Look } from './look.js';

export interface GatherOptions {
  readonly host: Host;
  readonly settings: Settings;
  readonly roles: readonly Role[];
  readonly phase: Facts['phase'];
  /** What only the controller's program can see. */
  readonly database?: () => Promise<DatabaseFacts>;
}

const NOT_HERE: Fact<never> = { known: false, because: 'this machine has no such role' };

/** Looks at everything once, most of it at the same time. Reads only; no single thing can hold it up for long. */
export async function gatherFacts(options: GatherOptions): Promise<Facts> {
  const { settings, roles, phase } = options;
  const look = new Look(options.host);
  const host = roles.includes('host') ? settings.host : null;
  const forHost = <T>(body: () => Promise<T>): Promise<Fact<T>> =>
    host ? fact(body) : Promise.resolve(NOT_HERE);
  const bridges = providerBridges(host);

  const system = await fact(() => readSystem(look));
  const systemd = system.known && system.value.systemd;
  const contact = await fact(() => meetController(look, settings, host !== null));
  const [links, processes] = await Promise.all([
    fact(() => readLinks(look)),
    fact(() => readProcesses(look)),
  ]);
  const linksNow = links.known ? links.value : [];
  const uri = host?.libvirt_uri ?? null;
  const parts = {
    uid: fact(() => readUid(look)),
    processor: forHost(() => readProcessor(look)),
    kvm: forHost(() => readKvm(look, host!.virt_type !== 'qemu')),
    modules: forHost(() => readModules(look, system.known ? system.value.kernel : '')),
    sysctls: fact(() => readSysctls(look, bridges)),
    memory: fact(() => readMemory(look, uri)),
    routes: fact(() => readDefaultRoutes(look)),
    duplicates: forHost(() => readDuplicates(look, linksNow, bridges)),
    tunnelPeers: forHost(() => readTunnelPeers(look, linksNow)),
    routerForwarding: forHost(() => readRouterForwarding(look)),
    firewall: forHost(() => readFirewall(look)),
    programs: forHost(() => readPrograms(look)),
    sockets: fact(() => readSockets(look)),
    units: systemd ? fact(() => readUnits(look)) : Promise.resolve(NO_SYSTEMD),
    closed: fact(() => readClosed(look, settings)),
    libvirt: forHost(() => readLibvirt(look, uri!)),
    libvirtGuests: forHost(() => readLibvirtGuests(look)),
    defaultNetwork: forHost(() => readDefaultNetwork(look, uri!)),
    fileSystems: fact(() => readFileSystems(look, settings)),
    files: fact(() => readFiles(look, settings)),
    certificates: fact(() => readCertificates(look, settings, contact.known ? contact.value : null)),
    timeSync: fact(() => readTimeSync(look, processes.known ? processes.value : [], systemd)),
    denials: forHost(() => readDenials(look, systemd)),
    takeover: forHost(() => readTakeover(look)),
    database: options.database ? fact(options.database) : Promise.resolve(NOT_HERE),
  };
  return {
    now: options.host.now().toISOString(),
    phase,
    roles,
    settings,
    system,
    links,
    processes,
    controller: contact.known
      ? contact.value
        ? { known: true, value: contact.value.facts }
        : { known: false, because: 'no controller is configured, and this host has not joined one' }
      : contact,
    ...((await settle(parts)) as { [K in keyof typeof parts]: Awaited<(typeof parts)[K]> }),
  };
}

const NO_SYSTEMD: Fact<never> = { known: false, because: 'systemd does not run here' };

/** The controller that this machine's agent goes to. */
async function meetController(look: Look, settings: Settings, isHost: boolean): Promise<Contact | null> {
  if (!isHost || !settings.host) return null;
  const { controller, state_dir } = settings.host;
  const url = controller || (await readIdentity(look, state_dir))?.controller;
  return url ? await contactController(look, url.replace(/\/$/, '')) : null;
}

async function settle(parts: Readonly<Record<string, Promise<unknown>>>): Promise<Record<string, unknown>> {
  const values = await Promise.all(Object.values(parts));
  return Object.fromEntries(Object.keys(parts).map((name, i) => [name, values[i]]));
}
