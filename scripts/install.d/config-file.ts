import { isIP } from 'node:net';
import { parseDocument } from 'yaml';
import { splitAddress } from '../../src/net/listen-address.js';
import { type Action, ask, ensureDirectory, ensureFile, machine } from './actions.js';
import { CONFIG, USER } from './layout.js';
import { maskedConfig } from './masked.js';
import {
  type InstallOptions,
  isController,
  isHost,
  ownAddress,
  ownName,
  physicalNetworks,
} from './options.js';
import type { Step } from './run-steps.js';
import { configured, documentOf, plain } from './settings.js';
import { FILES, isFormerOwn, ownFiles } from './tls-files.js';

const EVERY_IPV4 = '0.0.0.0';
const DEFAULT_NETWORKS = ['extnet:br-ex'];
const HEAD = ` Maru's configuration: \`maru config show --defaults\` lists every key. Written by maru install, which leaves
 alone what you change here unless you give it the option concerned.`;

/** A setting: `given` ones replace what the file has, others are only added. */
interface Setting {
  readonly path: readonly [section: 'controller' | 'agent', key: string];
  /** Undefined: the key goes. */
  readonly value: unknown;
  readonly given: boolean;
}

/** Writes /etc/maru/maru.yaml, or into it what is missing; comments and other keys stay. */
export function configStep(options: InstallOptions): Step {
  return {
    name: 'configuration',
    advice: `Is ${CONFIG} valid YAML? maru config check tells.`,
    async look(): Promise<Action[]> {
      const content = merged(await machine.readFileIfExists(CONFIG), await settings(options));
      return [
        ...(await ensureDirectory('/etc/maru', 0o755)),
        ...(await ensureFile({
          path: CONFIG,
          content,
          mode: 0o640,
          owner: await ownerOf(options),
          shown: maskedConfig,
        })),
      ];
    },
  };
}

/**
 * Who may read the configuration: the controller's user where there is one, or will be. Also when a host is installed on the
 * controller's machine: there both have one file.
 */
async function ownerOf({ role }: Pick<InstallOptions, 'role'>): Promise<string> {
  const shared = isController(role) || (await ask('getent', 'group', USER)) !== null;
  return shared ? `root:${USER}` : 'root:root';
}

/** The file's text with the settings in it. */
export function merged(before: string | null, wanted: readonly Setting[]): string {
  const document = documentOf(CONFIG, before ?? '{}\n');
  if (before === null) document.commentBefore = HEAD;
  for (const { path, value, given } of wanted) {
    if (document.hasIn(path) && !given) continue;
    if (JSON.stringify(plain(document.getIn(path))) === JSON.stringify(value)) continue;
    if (value === undefined) document.deleteIn(path);
    else document.setIn(path, document.createNode(value));
  }
  (document.contents as { flow?: boolean } | null)!.flow = false;
  return document.toString({ lineWidth: 0 });
}

/** A whole section as it is now; null when there is none. */
export async function configuredSection(section: 'controller' | 'agent'): Promise<unknown> {
  const text = await machine.readFileIfExists(CONFIG);
  return text === null ? null : (plain(parseDocument(text).get(section)) ?? null);
}

async function settings(options: InstallOptions): Promise<Setting[]> {
  const { role } = options;
  const address = options.address ?? (await ownAddress());
  const named = options.address !== undefined;
  const networks = physicalNetworks(options.physicalNetwork ?? DEFAULT_NETWORKS);
  const networksGiven = options.physicalNetwork !== undefined;
  const { all, unreachable } = await listening(address, named);
  const wanted: Setting[] = [];
  const set = (section: 'controller' | 'agent', key: string, value: unknown, given: boolean) =>
    wanted.push({ path: [section, key], value, given });
  if (isController(role)) {
    const tlsGiven = options.tls !== undefined || options.tlsCert !== undefined;
    const secure = options.tls !== 'none';
    const pair = options.tlsCert ? FILES : await ownFiles();
    const moves = tlsGiven || (await isFormerOwn());
    const port = options.apiPort ?? 5000;
    const portGiven = options.apiPort !== undefined;
    const shown = address.includes(':') ? `[${address}]` : address;
    const listen = String((await configured('controller', 'listen')) ?? '');
    const kept = portGiven || !listen ? port : splitAddress(listen).port;
    set('controller', 'listen', `${all}:${kept}`, portGiven || unreachable(listen));
    // IPv4 is what a program listens on when nothing is said
    const agents = String((await configured('controller', 'agent_listen')) ?? '');
    if (all !== EVERY_IPV4) {
      const port = agents ? splitAddress(agents).port : 5443;
      set('controller', 'agent_listen', `${all}:${port}`, unreachable(agents));
    }
    set(
      'controller',
      'public_url',
      `${secure ? 'https' : 'http'}://${shown}:${port}`,
      named || tlsGiven || portGiven,
    );
    // tunnels go between the same addresses; networks that exist keep their MTU
    if (all !== EVERY_IPV4) set('controller', 'overlay_ip_version', 6, false);
    set('controller', 'agent_names', [...new Set([ownName(), address, 'localhost', '127.0.0.1'])], named);
    set('controller', 'physical_networks', Object.keys(networks), networksGiven);
    set('controller', 'tls_cert_file', secure ? pair.certificate : undefined, moves);
    set('controller', 'tls_key_file', secure ? pair.key : undefined, moves);
  }
  if (isHost(role)) {
    const joined = role === 'all-in-one';
    const controller = joined ? await ownListener() : (options.controller ?? '');
    set('agent', 'name', options.name ?? ownName(), options.name !== undefined);
    if (controller) set('agent', 'controller', withScheme(controller), true);
    // tunnels need an address, not a name
    const ip = isIP(address) ? address : await ownAddress();
    if (all !== EVERY_IPV4) {
      const listen = String((await configured('agent', 'listen')) ?? '');
      const port = listen ? splitAddress(listen).port : 5444;
      set('agent', 'listen', `${all}:${port}`, unreachable(listen));
    }
    set('agent', 'underlay_ip', ip, named && ip === address);
    set('agent', 'physical_networks', networks, networksGiven);
  }
  return wanted;
}

/**
 * What stands for every address of this machine where programs listen, `[::]` (IPv4 too) when it is reached over IPv6; and whether
 * something that listens as the file says cannot be reached at an address that was given.
 */
async function listening(
  address: string,
  named: boolean,
): Promise<{ readonly all: string; unreachable(listen: string): boolean }> {
  // a name may be of either kind: then what this machine has decides
  const ip = isIP(address) ? address : await ownAddress().catch(() => '');
  const six = isIP(ip) === 6;
  return {
    all: six ? '[::]' : EVERY_IPV4,
    unreachable: (listen) => six && named && listen.startsWith(`${EVERY_IPV4}:`),
  };
}

/** Where an agent of this machine reaches its controller. */
async function ownListener(): Promise<string> {
  const listen = String((await configured('controller', 'agent_listen')) ?? '0.0.0.0:5443');
  const { host, port } = splitAddress(listen);
  return /^(0\.0\.0\.0|::)$/.test(host) ? `127.0.0.1:${port}` : listen;
}

/** `controller1` or `controller1:5443` will do for an operator. */
function withScheme(controller: string): string {
  const url = new URL(controller.includes('://') ? controller : `https://${controller}`);
  if (!url.port) url.port = '5443';
  return url.toString().replace(/\/$/, '');
}
