import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { clientAddressOf } from '../../src/api/shared/client-address.js';
import { loadConfig } from '../../src/config.js';
import { networkOf } from '../../src/core/audit/address.js';

const TRUSTED = ['192.0.2.10', '198.51.100.0/24', '2001:db8:1::/64'];

function from(peer: string, headers: Record<string, string> = {}, trusted: readonly string[] = TRUSTED) {
  const request = { socket: { remoteAddress: peer }, headers } as unknown as IncomingMessage;
  return clientAddressOf(trusted)(request);
}
const x = (text: string) => ({ 'x-forwarded-for': text });

it('is the connection’s unless that is a trusted proxy’s', () => {
  expect(from('203.0.113.5', x('203.0.113.9'))).toBe('203.0.113.5');
  expect(from('192.0.2.10', x('203.0.113.9'), [])).toBe('192.0.2.10');
  expect(from('192.0.2.11', { forwarded: 'for=203.0.113.9' })).toBe('192.0.2.11');
  expect(from('192.0.2.10')).toBe('192.0.2.10');
});

it.each([
  ['one proxy', '203.0.113.9', '203.0.113.9'],
  ['what the client made up before it', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
  ['a chain of proxies', '10.0.0.1,203.0.113.9 , 198.51.100.3', '203.0.113.9'],
  ['a client that names a trusted proxy', '198.51.100.3, 203.0.113.9, 198.51.100.7', '203.0.113.9'],
  ['only proxies', '198.51.100.3, 198.51.100.7', '198.51.100.3'],
  ['a port', '203.0.113.9:4711', '203.0.113.9'],
  ['IPv6', '2001:DB8:2:0::9', '2001:db8:2::9'],
  ['IPv6 with a port', '[2001:db8:2::9]:4711, 2001:db8:1::5', '2001:db8:2::9'],
  ['IPv4 in IPv6', '::ffff:203.0.113.9, ::ffff:198.51.100.7', '203.0.113.9'],
  ['no address', '203.0.113.9, unknown', '192.0.2.10'],
  ['no address farther away', 'x, 198.51.100.7', '198.51.100.7'],
  ['nothing', ' ', '192.0.2.10'],
  ['an empty hop', '203.0.113.9,', '192.0.2.10'],
])('is what trusted proxies say: %s', (_, header, address) => {
  expect(from('192.0.2.10', x(header))).toBe(address);
});

it.each([
  ['for=203.0.113.9', '203.0.113.9'],
  ['for=10.0.0.1;proto=http, For="203.0.113.9:80" ; by=192.0.2.10', '203.0.113.9'],
  ['for="[2001:db8:2::9]:4711";host="a,b;for=1.2.3.4"', '2001:db8:2::9'],
  ['for="10.0.0.1, for=203.0.113.9', '192.0.2.10'],
  // the client's part ends with an open quote, which the proxy's own closes or does not
  ['for=6.6.6.6;x=", for=203.0.113.9', '192.0.2.10'],
  ['for=6.6.6.6;x=", for="[2001:db8:2::9]:4711"', '192.0.2.10'],
  ['for=6.6.6.6;x=", for="[2001:db8:2::9]:4711";host="a\\"b"', '192.0.2.10'],
  ['for=6.6.6.6;x="\\, for=203.0.113.9', '192.0.2.10'],
  ['for=6.6.6.6;x="a\\"b"', '6.6.6.6'],
  ['for=6.6.6.6;x=a"b", for=203.0.113.9', '203.0.113.9'],
  ['for=203.0.113.9, proto=https', '192.0.2.10'],
  ['for=203.0.113.9, for=_hidden', '192.0.2.10'],
])('reads Forwarded: %s', (header, address) => {
  expect(from('192.0.2.10', { forwarded: header })).toBe(address);
});

it('takes no longer than the header is long', () => {
  for (const gap of [' ', '\t', ';', ',', '"', '\\', '[', ':']) {
    const header = `for=${gap.repeat(60_000)}x`;
    from('192.0.2.10', { forwarded: header });
    from('192.0.2.10', { forwarded: `for=a${gap.repeat(60_000)}x` });
    from('192.0.2.10', x(header));
  }
  // all of them take some 100 ms; trying every letter anew, minutes
}, 20_000);

it('is the proxy’s own where two headers tell different addresses', () => {
  const both = (forwarded: string) => from('192.0.2.10', { ...x('203.0.113.9'), forwarded });
  expect(both('for=203.0.113.9')).toBe('203.0.113.9');
  expect(both('for=203.0.113.8')).toBe('192.0.2.10');
});

it('is written in one way, by which networks are told', () => {
  expect(from('::ffff:203.0.113.5')).toBe('203.0.113.5');
  expect(from('::ffff:c633:6407', x('2001:db8:2:3::1'))).toBe('2001:db8:2:3::1');
  expect(from('2001:db8:1::7', x('203.0.113.9'))).toBe('203.0.113.9');
  expect(from('fe80::1%eth0')).toBe('fe80::1');
  expect(networkOf(from('192.0.2.10', x('2001:db8:2:3::1')))).toBe(
    networkOf(from('192.0.2.10', x('2001:db8:2:3:ffff::2'))),
  );
});

it.each([
  ['[192.0.2.1, "2001:db8::/32", 198.51.100.0/24]', null],
  ['[proxy.example.org]', /is neither/],
  ['[0.0.0.0/0]', /every address/],
  ['["::ffff:192.0.2.0/120"]', /give it as IPv4/],
])('is configured: %s', (value, problem) => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-config-'));
  try {
    const file = join(directory, 'maru.yaml');
    writeFileSync(file, `controller: { state_dir: ${directory}, trusted_proxies: ${value} }\n`);
    const load = () => loadConfig(file);
    if (problem) expect(load).toThrow(problem);
    else expect(load().trusted_proxies).toEqual(['192.0.2.1', '2001:db8::/32', '198.51.100.0/24']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
