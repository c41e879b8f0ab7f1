import { expect, it } from 'vitest';
import { FLOOD_MAC, fdbKey } from '../../agents/network/links/model.js';
import { fdbPeer, fdbTable } from '../../agents/network/trace/devices.js';

const [A, B, C] = ['fa:16:3e:00:00:0a', 'fa:16:3e:00:00:0b', 'fa:16:3e:00:00:0c'];
const DEV = 'vxlan-1001';
const HERE = '192.0.2.2';

/** What is found of a tunnel that has these entries. */
async function found(
  entries: readonly (readonly [mac: string, dst: string | null])[],
  { there = true, peer = false } = {},
) {
  const fdb = new Map(
    entries.map(([mac, dst]) => [fdbKey({ dev: DEV, mac, dst }), { dev: DEV, mac, dst }] as const),
  );
  const devices = async () => ({ links: new Map(there ? [[DEV, {}]] : []), fdb, carriers: new Set() });
  const network = { id: 'n', type: 'vxlan', physical_network: null, segmentation_id: 1001 } as const;
  if (peer) {
    const check = { kind: 'fdb-peer', network, macs: [A!, B!, C!], vtep: HERE } as const;
    return await fdbPeer({ devices } as never, check);
  }
  const remote_ports = [A, B, C].map((mac) => ({ mac: mac!, vtep: HERE }));
  const told = { ...network, mtu: 1450, peers: [HERE], remote_ports };
  return await fdbTable({ devices } as never, { kind: 'fdb-table', network }, told);
}

const whole = (mac: string) =>
  [
    [mac, HERE],
    [mac, null],
  ] as const;

it('all entries of a tunnel are looked at together, the first wrong one is named and the others counted', async () => {
  const flood = [FLOOD_MAC, HERE] as const;
  expect(await found([flood, ...whole(A!), ...whole(B!), ...whole(C!)])).toMatchObject({
    state: 'ok',
    detail: `${DEV} floods to 1 host(s), and knows 3 MAC(s) there`,
  });
  expect(await found([flood, ...whole(A!), ...whole(C!)])).toMatchObject({
    state: 'fail',
    detail: `${DEV} has no entry for ${B}`,
    mend: `bridge fdb replace ${B} dev ${DEV} dst ${HERE} self static`,
  });
  expect(await found([...whole(A!)])).toMatchObject({
    state: 'fail',
    detail: `${DEV} does not flood to ${HERE}; 2 more of 4 entries are wrong`,
  });
  expect(await found([], { there: false })).toMatchObject({
    state: 'unknown',
    detail: `tunnel device ${DEV} is not there`,
  });
});

it('what is behind one other host is looked at alone, as a controller of the release before asks it', async () => {
  const peer = { peer: true };
  const flood = [FLOOD_MAC, HERE] as const;
  expect(await found([flood, ...whole(A!), ...whole(B!), ...whole(C!)], peer)).toEqual({
    state: 'ok',
    detail: `${DEV} floods to ${HERE}, and sends it frames for 3 MAC(s)`,
  });
  expect(await found([...whole(A!)], peer)).toMatchObject({
    state: 'fail',
    detail: `${DEV} does not flood to ${HERE}; 2 more of 4 entries are wrong`,
  });
});
