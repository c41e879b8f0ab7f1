import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeChange } from '../../../agents/bridge/dry-run.js';
import {
  parseAddresses,
  parseLinks,
  parseNeighbours,
  parseRoutes,
  parseRules,
} from '../../../agents/bridge/ip-json.js';
import type { ManagerPlan } from '../../../agents/bridge/manager.js';
import type { LinkState, Snapshot } from '../../../agents/bridge/model.js';
import { planChange } from '../../../agents/bridge/plan.js';
import { renderRevert } from '../../../agents/bridge/revert-script.js';
import type { ScriptedChange } from '../../../agents/bridge/script-parts.js';
import { renderCommit, renderStep, renderWatchdog } from '../../../agents/bridge/scripts.js';

/** What iproute2 said on a host with everything that makes a takeover hard. */
const said = JSON.parse(readFileSync(new URL('host.json', import.meta.url), 'utf8')) as Record<
  string,
  unknown
>;
const json = (what: string) => JSON.stringify(said[what]);

const snapshot: Snapshot = {
  device: 'eth0',
  bootId: '11111111-2222-4333-8444-555555555555',
  uptimeSeconds: 1000.25,
  links: parseLinks(json('link')),
  addresses: parseAddresses(json('addr'), 'eth0'),
  routes: [...parseRoutes(json('route4'), 4), ...parseRoutes(json('route6'), 6)],
  rules: [...parseRules(json('rule4'), 4), ...parseRules(json('rule6'), 6)],
  neighbours: parseNeighbours(json('neigh')),
  sysctls: [
    { path: 'ipv4/conf/DEV/rp_filter', value: '1' },
    { path: 'ipv4/conf/DEV/forwarding', value: '1' },
    { path: 'ipv6/conf/DEV/accept_ra', value: '1' },
    { path: 'ipv6/conf/DEV/addr_gen_mode', value: '0' },
    { path: 'ipv6/conf/DEV/forwarding', value: '1' },
  ],
};

/** A manager that has something of everything. */
const manager: ManagerPlan = {
  trialFiles: [{ path: '/run/manager/05-br-ex.conf', content: 'bridge\n', mode: 0o644 }],
  handOver: [['managerctl', 'reload']],
  handBackFirst: [['managerctl', 'forget', "br-ex's client"]],
  handBack: [['managerctl', 'reload']],
  permanent: [
    { path: '/etc/manager/eth0.conf', content: 'port of br-ex\n', mode: 0o600 },
    { path: '/etc/manager/br-ex.conf', content: 'bridge\n', mode: 0o600 },
    { path: '/etc/manager/old.conf', content: null, mode: 0o600 },
  ],
  confirmCommands: [['managerctl', 'reload']],
  dhcp: { before: [['dhclient', '-x', 'eth0']], after: [['dhclient', 'br-ex']] },
  lease: null,
  warnings: [],
};

const takeover: ScriptedChange = {
  kind: 'takeover',
  bridge: 'br-ex',
  uplink: 'eth0',
  snapshot,
  manager,
  originals: [
    { path: '/etc/manager/eth0.conf', content: 'address\n', mode: 0o640 },
    { path: '/etc/manager/br-ex.conf', content: null, mode: 0o644 },
    { path: '/etc/manager/old.conf', content: 'old\n', mode: 0o644 },
  ],
  id: '0badcafe',
};

/** The same host after the takeover: what was eth0's is br-ex's. */
const release: ScriptedChange = { ...takeover, kind: 'release', snapshot: onBridge(snapshot) };

const SCRIPTS = {
  'revert.sh': renderRevert,
  'commit.sh': renderCommit,
  'step.sh': renderStep,
  'watchdog.sh': renderWatchdog,
};

describe.each([['takeover', takeover] as const, ['release', release] as const])('%s', (name, change) => {
  it('the commands', async () => {
    const { from, to } = { from: change.snapshot.device, to: name === 'takeover' ? 'br-ex' : 'eth0' };
    const prepared = {
      change,
      managerName: 'manager',
      steps: planChange(change),
      from,
      to,
      warnings: [],
      confirmByHand: null,
    };
    await expect(describeChange(prepared)).toMatchFileSnapshot(`${name}.txt`);
  });

  it.each(Object.entries(SCRIPTS))('%s', async (file, render) => {
    await expect(render(change)).toMatchFileSnapshot(`${name}-${file}`);
  });
});

function onBridge(before: Snapshot): Snapshot {
  const eth0 = before.links.find(({ name }) => name === 'eth0')!;
  const bridge: LinkState = { ...eth0, name: 'br-ex', index: 9, kind: 'bridge', parent: null };
  return {
    ...before,
    device: 'br-ex',
    links: [
      ...before.links.map((link) =>
        link === eth0 ? { ...link, master: 'br-ex', masterKind: 'bridge' } : link,
      ),
      bridge,
    ],
    addresses: before.addresses.map((address) => ({
      ...address,
      label: address.label?.replace('eth0', 'br-ex') ?? null,
    })),
    routes: before.routes.map((route) => ({
      ...route,
      nextHops: route.nextHops.map((hop) => (hop.dev === 'eth0' ? { ...hop, dev: 'br-ex' } : hop)),
    })),
    rules: before.rules.map((rule) => ({
      ...rule,
      iif: rule.iif === 'eth0' ? 'br-ex' : rule.iif,
      oif: rule.oif === 'eth0' ? 'br-ex' : rule.oif,
    })),
    portSysctls: [
      { path: 'ipv4/conf/DEV/rp_filter', value: '1' },
      { path: 'ipv6/conf/DEV/addr_gen_mode', value: '1' },
    ],
  };
}
