import type { Role } from '../../src/protocol/doctor.js';
import type { ClosedDirectory, UnitProgram } from '../../src/protocol/unit-paths.js';

/** What was found out, or why it could not be. */
export type Fact<T> =
  | { readonly known: true; readonly value: T }
  | { readonly known: false; readonly because: string };

/** Everything that the checks go by: gathered in one pass of reads (gather.ts), plain data, so that it can be recorded. */
export interface Facts {
  readonly now: string;
  readonly phase: 'before' | 'installed';
  readonly roles: readonly Role[];
  readonly uid: Fact<number>;
  readonly settings: Settings;
  readonly system: Fact<SystemFacts>;
  readonly processor: Fact<ProcessorFacts>;
  readonly kvm: Fact<KvmFacts>;
  readonly modules: Fact<ModuleFacts>;
  readonly sysctls: Fact<Readonly<Record<string, string>>>;
  readonly memory: Fact<MemoryFacts>;
  readonly links: Fact<readonly Link[]>;
  readonly routes: Fact<readonly DefaultRoute[]>;
  /** Addresses of provider bridges that somebody else answered for. */
  readonly duplicates: Fact<readonly DuplicateFacts[]>;
  readonly tunnelPeers: Fact<readonly PeerFacts[]>;
  readonly routerForwarding: Fact<Readonly<Record<string, string>>>;
  readonly firewall: Fact<FirewallFacts>;
  readonly programs: Fact<Readonly<Record<string, boolean>>>;
  readonly processes: Fact<readonly ProcessFacts[]>;
  readonly sockets: Fact<readonly SocketFacts[]>;
  readonly units: Fact<UnitFacts>;
  /** Directories that our programs need and the sandboxes of their units do not let them write to. */
  readonly closed: Fact<readonly (ClosedDirectory & { readonly program: UnitProgram })[]>;
  readonly libvirt: Fact<LibvirtFacts>;
  readonly libvirtGuests: Fact<GuestsServiceFacts>;
  readonly defaultNetwork: Fact<DefaultNetworkFacts>;
  readonly fileSystems: Fact<readonly FileSystemFacts[]>;
  readonly files: Fact<readonly FileFacts[]>;
  readonly certificates: Fact<readonly CertificateFacts[]>;
  readonly controller: Fact<ControllerFacts>;
  readonly timeSync: Fact<TimeSyncFacts>;
  readonly denials: Fact<readonly string[]>;
  readonly takeover: Fact<TakeoverFacts | null>;
  readonly database: Fact<DatabaseFacts>;
}

/** The part of the configuration that checks go by. */
export interface Settings {
  readonly file: string;
  /** Why the file cannot be used; then defaults are assumed. */
  readonly problem: string | null;
  readonly host: HostSettings | null;
  readonly controller: ControllerSettings | null;
}

export interface HostSettings {
  readonly name: string;
  readonly state_dir: string;
  /** Empty: the one in the identity. */
  readonly controller: string;
  readonly listen: string;
  readonly underlay_ip: string;
  readonly physical_networks: Readonly<Record<string, string>>;
  readonly virt_type: 'auto' | 'kvm' | 'qemu';
  readonly libvirt_uri: string;
  readonly log_file: string | null;
}

export interface ControllerSettings {
  readonly state_dir: string;
  /** Without its password. */
  readonly database: string;
  readonly listen: string;
  readonly agent_listen: string;
  readonly image_dir: string;
  readonly underlay_mtu: number;
  readonly log_file: string | null;
  readonly admin_password_file: string;
  /** null: the API is plain HTTP. */
  readonly tls_cert_file: string | null;
}

export interface SystemFacts {
  readonly hostname: string;
  readonly kernel: string;
  readonly architecture: string;
  /** ID and VERSION_ID of /etc/os-release. */
  readonly distribution: string;
  readonly release: string;
  readonly systemd: boolean;
}

export interface ProcessorFacts {
  readonly model: string;
  readonly count: number;
  /** `vmx` or `svm`, null: neither. */
  readonly extension: 'vmx' | 'svm' | null;
  /** This machine is itself a guest. */
  readonly virtual: boolean;
}

export interface KvmFacts {
  readonly device: boolean;
  /** Permission bits and group of /dev/kvm. */
  readonly mode: string | null;
  readonly group: string | null;
  readonly probe: 'ran' | 'hangs' | 'failed' | 'not tried';
  readonly reason: string;
}

export interface ModuleFacts {
  /** False: this kernel's directory of modules is gone, as after an upgrade without a reboot. */
  readonly directory: boolean;
  /** By module: it is loaded, built in, or can be loaded. null: cannot be told. */
  readonly available: Readonly<Record<string, boolean | null>>;
}

/** In MiB. */
export interface MemoryFacts {
  readonly total: number;
  readonly available: number;
  readonly swapTotal: number;
  readonly swapFree: number;
  /** What running guests may use altogether; null: libvirt does not say. */
  readonly guests: number | null;
}

export interface Link {
  readonly name: string;
  readonly kind: string | null;
  readonly mtu: number;
  readonly up: boolean;
  readonly carrier: boolean;
  readonly mac: string;
  readonly master: string | null;
  readonly bridge: { readonly stp: boolean; readonly forwardDelaySeconds: number } | null;
  readonly addresses: readonly LinkAddress[];
}

export interface LinkAddress {
  readonly address: string;
  readonly prefix: number;
  readonly scope: string;
  /** Another machine had it: the kernel does not use it. */
  readonly dadFailed: boolean;
}

export interface DefaultRoute {
  readonly family: 4 | 6;
  readonly device: string;
  readonly gateway: string | null;
  readonly metric: number;
  readonly protocol: string;
}

/** An address of this machine that another one answered for. */
export interface DuplicateFacts {
  readonly device: string;
  readonly address: string;
  readonly mac: string;
}

/** Another host that tunnels go to. */
export interface PeerFacts {
  readonly address: string;
  readonly answers: boolean;
  /** A packet as large as the largest tunnel needs, without fragmenting, arrived. */
  readonly size: number;
  readonly fullSizeArrives: boolean;
}

export interface FirewallFacts {
  /** What `iptables` is here. */
  readonly backend: 'nft' | 'legacy' | 'none';
  /** `iptables-save` of each: rules of filter's FORWARD and nat's POSTROUTING, with their policies. */
  readonly tables: readonly IptablesFacts[];
  /** Base chains of nft tables that are not iptables' own. */
  readonly chains: readonly NftChain[];
  readonly firewalld: boolean;
  readonly ufw: boolean;
}

export interface IptablesFacts {
  readonly command: 'iptables-nft' | 'ip6tables-nft' | 'iptables-legacy' | 'ip6tables-legacy';
  readonly forwardPolicy: string | null;
  readonly forward: readonly string[];
  readonly postrouting: readonly string[];
}

export interface NftChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
  readonly hook: string;
  readonly policy: string;
  /** Rules that rewrite the sender of what leaves, whoever sent it. */
  readonly masquerades: readonly MasqueradeFacts[];
}

export interface MasqueradeFacts {
  readonly handle: number;
  /** Only what leaves by these devices (`docker*` is a beginning); null: by any. */
  readonly devices: readonly string[] | null;
}

export interface ProcessFacts {
  readonly pid: number;
  readonly name: string;
  readonly command: string;
}

export interface SocketFacts {
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  readonly process: string | null;
  readonly pid: number | null;
}

export interface UnitFacts {
  readonly failed: readonly string[];
  /** By unit: `active`, `inactive` …; only units that exist. */
  readonly states: Readonly<Record<string, string>>;
}

export interface LibvirtFacts {
  readonly socket: boolean;
  readonly answers: 'yes' | 'no' | 'hangs';
  readonly problem: string | null;
  readonly version: string | null;
  readonly qemu: string | null;
}

export interface GuestsServiceFacts {
  readonly enabled: boolean;
  readonly onBoot: string;
}

export interface DefaultNetworkFacts {
  readonly active: boolean;
  readonly autostart: boolean;
  readonly subnet: string | null;
}

export interface FileSystemFacts {
  /** What was asked for. */
  readonly path: string;
  readonly mount: string;
  readonly source: string;
  readonly bytes: number;
  readonly free: number;
  /** 0–100. */
  readonly used: number;
  readonly inodesUsed: number;
  readonly readOnly: boolean;
}

export interface FileFacts {
  readonly path: string;
  readonly owner: string;
  readonly group: string;
  /** Permission bits. */
  readonly mode: number;
  readonly directory: boolean;
  /** Holds a key or a password. */
  readonly secret: boolean;
  /** Who should own it; null: whoever does. */
  readonly wanted: string | null;
}

export interface CertificateFacts {
  /** `api`: of the public API; given, or made by this installation, as its authority then is. */
  readonly what: 'agent' | 'authority' | 'api-given' | 'api-own' | 'api-authority';
  readonly path: string;
  readonly from: string;
  readonly to: string;
  /** It comes from an authority that this machine trusts. */
  readonly trusted: boolean;
  /** The controller's own chain begins with an authority that this machine trusts; null: not seen. */
  readonly trustsController: boolean | null;
}

export interface ControllerFacts {
  readonly url: string;
  readonly hostname: string;
  readonly resolves: boolean;
  readonly reached: boolean;
  readonly problem: string | null;
  /** Seconds that this clock is ahead of the controller's (of its Date header). */
  readonly ahead: number | null;
}

export interface TimeSyncFacts {
  readonly synchronized: boolean | null;
  readonly daemon: string | null;
}

export interface TakeoverFacts {
  readonly bridge: string;
  readonly uplink: string;
  readonly kind: 'takeover' | 'release';
  readonly since: string | null;
}

export interface DatabaseFacts {
  readonly kind: 'sqlite' | 'postgres';
  readonly where: string;
  readonly problem: string | null;
  /** Migrations that this program does not know: a newer one has been here. */
  readonly newer: readonly string[];
  readonly bytes: number | null;
}
