import { fileURLToPath } from 'node:url';

/** Where an installation is. The package has the same tree. */
export const PROGRAM = '/usr/lib/maru';
export const NODE = `${PROGRAM}/bin/node`;
export const MAIN = `${PROGRAM}/dist/src/main.js`;
export const COMMAND = '/usr/bin/maru';
export const CONFIG = '/etc/maru/maru.yaml';
export const TLS = '/etc/maru/tls';
export const CLOUDS = '/etc/openstack/clouds.yaml';
export const CONTROLLER_STATE = '/var/lib/maru';
export const AGENT_STATE = '/var/lib/maru-agent';
/** What this program has to remember: which units run which version, what was there before. */
export const INSTALL_STATE = '/var/lib/maru-install';
export const USER = 'maru';

export const UNITS = {
  controller: 'maru-controller.service',
  agent: 'maru-agent.service',
  bridgeRevert: 'maru-bridge-revert.service',
} as const;

/** The tree that this program runs from: a checkout, an unpacked tarball, or /usr/lib/maru itself. Ends without a slash. */
export const SOURCE = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '');

export const TEMPLATES = `${SOURCE}/templates`;
