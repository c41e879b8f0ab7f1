import { afterAll, beforeAll, expect, it } from 'vitest';
import { NetworkApi } from './network.js';

/** An id that nothing has. */
export const NOBODY = '00000000-0000-0000-0000-000000000000';

/** A cloud with an external network, and a tenant `demo` with network, subnet, router, port and group. */
export interface NetworkWorld {
  api: NetworkApi;
  // biome-ignore lint/suspicious/noExplicitAny: resources as the API returns them
  world: Record<string, any>;
}

/** Declares the world of a test file: filled before its tests, closed after them. */
export function networkWorld(): NetworkWorld {
  const made = { world: {} } as NetworkWorld;
  beforeAll(async () => {
    const api = await NetworkApi.open();
    made.api = api;
    const external = await api.external();
    const routed = await api.routed(api.demo, external.network.id);
    const port = await api.port(api.demo, routed.network.id);
    const foreign = await api.network(api.other);
    const foreignSubnet = await api.subnet(api.other, foreign.id, '10.5.0.0/24');
    const group = await api.make(api.demo, 'security-groups', 'security_group', { name: 'web' });
    Object.assign(made.world, { external: external.network, ...routed, port, foreign, foreignSubnet, group });
  });
  afterAll(() => made.api?.close());
  return made;
}

/** One refusal: the request of tenant `demo`, and Neutron's status, type and words for it. */
export interface Refusal {
  readonly method: string;
  readonly path: () => string;
  readonly body?: () => object;
  readonly status: number;
  readonly type: string;
  readonly message: RegExp;
}

/** Declares a test that the request is refused exactly so and leaves the number of ports as it was. */
export function refuses(made: NetworkWorld, name: string, refusal: Refusal): void {
  it(`refuses ${name}`, async () => {
    const { api } = made;
    const { method, path, body, status, type, message } = refusal;
    const before = (await api.call(api.admin, 'GET', 'ports')).json.ports.length;
    const reply = await api.call(api.demo, method, path(), body?.());
    expect(reply.status, reply.text).toBe(status);
    expect(Object.keys(reply.json)).toEqual(['NeutronError']);
    expect(reply.json.NeutronError.type).toBe(type);
    expect(reply.json.NeutronError.message).toMatch(message);
    expect(reply.json.NeutronError.detail).toBe('');
    expect((await api.call(api.admin, 'GET', 'ports')).json.ports).toHaveLength(before);
  });
}
