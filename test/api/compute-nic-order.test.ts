import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { networkService } from '../../src/api/network/service.js';
import { serverObjects } from '../../src/desired/server.js';
import { findServers } from '../../src/store/compute/server.js';
import { ComputeCloud } from '../support/compute-cloud.js';
import { DIALECTS } from '../support/stores.js';

describe.each(DIALECTS)('interfaces of a server on %s', (dialect) => {
  let compute: ComputeCloud;
  let alice: { token: string; projectId: string };

  beforeAll(async () => {
    compute = await ComputeCloud.open({ dialect, services: [() => networkService] });
    await compute.hosts.add(compute.cloud, 'host1');
    alice = await compute.cloud.projectUser('alice');
  });
  afterAll(() => compute.cloud.close());

  it('come in the order of the request, whatever the age and ids of their ports', async () => {
    const networks = [];
    for (let n = 0; n < 6; n++) networks.push(await compute.network(alice.projectId, `net${n}`));
    const made = await compute.cloud.request('POST', '/network/v2.0/ports', {
      token: alice.token,
      body: { port: { network_id: networks[5] } },
    });
    const portId: string = made.json.port.id;
    const wanted = [networks[3], networks[1], networks[4], networks[0], networks[2]];
    const reply = await compute.create(alice.token, {
      // the port is older than all others, and last
      networks: [...wanted.map((uuid) => ({ uuid })), { port: portId }],
    });
    expect(reply.status).toBe(202);
    const rows = await findServers(compute.cloud.app.store.read, [reply.json.server.id]);
    const object = (await serverObjects(compute.cloud.app.store.read, rows)).get(reply.json.server.id)!;
    expect(object.metadata.networks.map((n) => n.network_id)).toEqual([...wanted, networks[5]]);
    expect(object.nics.map((nic) => nic.port_id)).toEqual(object.metadata.networks.map((n) => n.port_id));
    expect(object.nics.at(-1)?.port_id).toBe(portId);
  });
});
