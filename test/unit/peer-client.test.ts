import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { CertificateAuthority } from '../../src/hosts/certificates.js';
import { PeerClient, PeerUnreachable } from '../../src/protocol/peer-client.js';

describe('a peer whose answer is no JSON', () => {
  it('is told of without a word of the answer, in which there may be keys', async () => {
    const authority = await CertificateAuthority.make();
    const { key, pem } = await authority.issuePair('host1', ['127.0.0.1']);
    const server = createServer({ key, cert: pem }, (_request, response) => response.end('{"key": hidden}'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = new PeerClient(url, 'host1', { ca: authority.pem });
    try {
      const failure = await client.request('GET', '/v1/facts').catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PeerUnreachable);
      expect((failure as Error).message).toBe(
        `host1 at ${url}: GET /v1/facts: not JSON (15 characters): damaged, or not written whole`,
      );
      expect(inspect(failure, { depth: 5 })).not.toMatch(/hidd|"key"/);
    } finally {
      client.close();
      server.close();
    }
  });
});
