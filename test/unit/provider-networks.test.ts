import { expect, it } from 'vitest';
import { PENDING } from '../../agents/bridge/paths.js';
import type { Host } from '../../agents/host/host.js';
import { ProviderNetworks } from '../../agents/provider-networks.js';
import { settleProviderNetworks } from '../../src/hosts/provider-facts.js';
import type { HostFacts } from '../../src/protocol/messages.js';

/** A host with or without the bridge, and with what a takeover has written down. */
function machine() {
  const state = { bridge: false, record: null as string | null };
  const host = {
    simulated: false,
    read: async (_command: string, args: readonly string[]) => {
      const link = state.bridge && args.includes('-d') ? [{ linkinfo: { info_kind: 'bridge' } }] : [];
      return { stdout: JSON.stringify(link), stderr: '', exitCode: 0 };
    },
    readFileIfExists: async (path: string) => (path === `${PENDING}/change.json` ? state.record : null),
  };
  return { state, host: host as unknown as Host };
}

const NONE = { addresses: [], gateways: [], neighbours: [] };

it('a bridge that was not seen yet after a start is not known to be gone, until the host has had time to bring it up', async () => {
  const { state, host } = machine();
  const known = async (networks: ProviderNetworks) =>
    (await networks.look()).map(({ present, unknown }) => (unknown ? 'unknown' : present));
  const starting = new ProviderNetworks(host, { extnet: 'br-ex' }, 0, 3_600_000);
  for (let look = 0; look < 3; look++) expect(await known(starting)).toEqual(['unknown']);
  state.bridge = true;
  expect(await known(starting)).toEqual([true]);
  state.bridge = false;
  expect(await known(starting)).toEqual([true]);
  expect(await known(starting)).toEqual([false]);
  expect(await known(new ProviderNetworks(host, { extnet: 'br-ex' }, 0, 0))).toEqual([false]);
});

it('a bridge whose takeover waits for its confirmation is not known to be there', async () => {
  const { state, host } = machine();
  const networks = new ProviderNetworks(host, { extnet: 'br-ex' }, 0, 0);
  state.bridge = true;
  state.record = JSON.stringify({ bridge: 'br-ex' });
  expect(await networks.look()).toEqual([
    { name: 'extnet', bridge: 'br-ex', present: false, unknown: true, ...NONE },
  ]);
  state.record = JSON.stringify({ bridge: 'br-other' });
  expect(await networks.look()).toEqual([{ name: 'extnet', bridge: 'br-ex', present: true, ...NONE }]);
});

it('what is not known stays as the host told it before', () => {
  const of = (name: string, unknown: boolean) => ({
    name,
    bridge: `br-${name}`,
    present: false,
    ...(unknown ? { unknown: true as const } : {}),
    ...NONE,
  });
  const told = {
    physical_networks: [],
    provider_networks: [of('had', true), of('new', true), of('lost', false)],
  };
  const before = JSON.stringify({ physical_networks: ['had', 'lost'] });
  const settled = settleProviderNetworks(told as unknown as HostFacts, before);
  expect(settled.physical_networks).toEqual(['had']);
  expect(settled.provider_networks?.map(({ present, unknown }) => [present, unknown])).toEqual([
    [true, undefined],
    [false, undefined],
    [false, undefined],
  ]);
  expect(settleProviderNetworks(told as unknown as HostFacts, null).physical_networks).toEqual([]);
});
