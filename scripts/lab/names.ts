/** Names, addresses and paths of one lab. Pure: everything follows from the lab's name. */
export interface LabNames {
  readonly name: string;
  readonly directory: string;
  /** Namespace with the bridges that stand for the underlay and the outside segment. */
  readonly switchNs: string;
  readonly controllerNs: string;
  readonly outsideNs: string;
  hostNs(host: string): string;
}

export const DEFAULT_LAB = 'maru-lab';
export const LOG_FILES = { controller: 'controller.log', supervisor: 'supervisor.log' } as const;

/** The network between hosts, only ever inside the lab's namespaces. */
export const UNDERLAY_MTU = 1600;
const UNDERLAY_PREFIX = '172.29.0';
export const CONTROLLER_ADDRESS = `${UNDERLAY_PREFIX}.1`;
export const AGENT_LISTENER_PORT = 5443;
export const AGENT_PORT = 5444;
export const MAX_HOSTS = 64;

/** The outside world: TEST-NET-3, a range that is nobody's (RFC 5737). */
export const EXTERNAL = {
  cidr: '203.0.113.0/24',
  gateway: '203.0.113.1',
  prefixLength: 24,
  poolStart: '203.0.113.10',
  poolEnd: '203.0.113.250',
  physicalNetwork: 'extnet',
  bridge: 'br-ex',
} as const;

/** Throws unless the name is `maru-lab` or begins with it: so that nothing else is ever taken for a lab. */
export function labNames(name: string = DEFAULT_LAB): LabNames {
  if (!/^maru-lab(-[a-z0-9]+)*$/.test(name)) {
    throw new Error(
      `lab name '${name}': must be maru-lab or maru-lab-SUFFIX, of lower-case letters and digits`,
    );
  }
  return {
    name,
    directory: `/var/lib/${name}`,
    switchNs: `${name}-net`,
    controllerNs: `${name}-ctl`,
    outsideNs: `${name}-outside`,
    hostNs: (host) => `${name}-${host}`,
  };
}

/** Names of the first `count` hosts. */
export function hostNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `host${index + 1}`);
}

/** A host's address on the underlay. */
export function hostAddress(host: string): string {
  return `${UNDERLAY_PREFIX}.${10 + Number(host.slice('host'.length))}`;
}

/** What a namespace is for in this lab; null when it is not of this lab. */
export function roleOf(lab: LabNames, namespace: string): string | null {
  const role = namespace.startsWith(`${lab.name}-`) ? namespace.slice(lab.name.length + 1) : '';
  return /^(net|ctl|outside|host\d+)$/.test(role) ? role : null;
}

/** Paths of the files that a lab keeps. */
export function labFiles(lab: LabNames) {
  const d = lab.directory;
  return {
    settings: `${d}/lab.json`,
    clouds: `${d}/clouds.yaml`,
    logs: `${d}/log`,
    supervisorPid: `${d}/run/supervisor.pid`,
    supervisorSocket: `${d}/run/supervisor.sock`,
    controllerConfig: `${d}/controller/maru.yaml`,
    controllerState: `${d}/controller/state`,
    adminPassword: `${d}/controller/admin-password`,
    images: `${d}/images`,
    tinyImage: `${d}/images/tiny.qcow2`,
    demoKey: `${d}/demo_key`,
    demoPassword: `${d}/demo-password`,
    /** Where each host sees its own directory: the same path on all of them, as on real machines. */
    hostMount: `${d}/host`,
    hostDirectory: (host: string) => `${d}/hosts/${host}`,
    capabilitiesCache: `${d}/libvirt-cache`,
  } as const;
}
