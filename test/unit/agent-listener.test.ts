import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type AgentListener,
  type AgentService,
  listenForController,
} from '../../agents/transport/listener.js';
import { CertificateAuthority } from '../../src/hosts/certificates.js';
import { createLogger } from '../../src/protocol/log.js';

/** Specs have keys and passwords in them; whoever reads the log, or the controller's, is not to see them. */
describe('a request to an agent that is no JSON', () => {
  const lines: string[] = [];
  let listener: AgentListener;
  let controller: { readonly ca: string; readonly key: string; readonly cert: string };

  beforeAll(async () => {
    const authority = await CertificateAuthority.make();
    const [host, asking] = [
      await authority.issuePair('host1', ['127.0.0.1']),
      await authority.issuePair('controller', []),
    ];
    controller = { ca: authority.pem, key: asking.key, cert: asking.pem };
    listener = await listenForController(
      {
        host_id: 'h1',
        name: 'host1',
        controller: 'https://localhost',
        key: host.key,
        certificate: host.pem,
        ca: authority.pem,
        token_sha256: '',
      },
      { host: '127.0.0.1', port: 0 },
      {} as AgentService,
      createLogger('debug', {}, (line) => lines.push(line)),
    );
  });
  afterAll(() => listener.close());

  it.each(['spec', 'probe', 'trace', 'orphans/remove', 'drift/heal', 'logs'])(
    'to /v1/%s is refused without a word of it',
    async (route) => {
      lines.length = 0;
      const { status, reply } = await post(`/v1/${route}`, '{"password": hidden}');
      expect(status).toBe(400);
      expect(JSON.parse(reply)).toEqual({
        message: 'the request is not JSON (20 characters): damaged, or not written whole',
      });
      expect(lines).toHaveLength(1);
      expect(lines[0]).toContain('"status":400');
      expect(`${reply} ${lines}`).not.toMatch(/hidd|passw/);
    },
  );

  async function post(path: string, body: string): Promise<{ status: number | undefined; reply: string }> {
    const call = request({
      host: '127.0.0.1',
      port: listener.port,
      method: 'POST',
      path,
      agent: false,
      ...controller,
    });
    call.end(body);
    const [response] = (await once(call, 'response')) as [IncomingMessage];
    return { status: response.statusCode, reply: await text(response) };
  }
});
