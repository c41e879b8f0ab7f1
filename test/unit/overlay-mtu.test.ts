import { expect, it } from 'vitest';
import type { App } from '../../src/core/app.js';
import { largestMtu } from '../../src/core/network/segment.js';

it('tunnels over IPv6 carry 20 bytes less than over IPv4; provider networks do not mind', () => {
  const app = (overlay_ip_version: number) =>
    ({ config: { underlay_mtu: 1500, provider_mtu: 9000, overlay_ip_version } }) as unknown as App;
  expect([4, 6].map((version) => largestMtu(app(version), 'vxlan'))).toEqual([1450, 1430]);
  expect([4, 6].map((version) => largestMtu(app(version), 'flat'))).toEqual([9000, 9000]);
});
