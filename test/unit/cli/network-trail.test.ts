import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliError } from '../../../src/cli/error.js';
import { createProgram } from '../../../src/cli/program.js';
import type { NetworkView } from '../../../src/core/trace/show.js';
import type { Trace } from '../../../src/core/trace/trace.js';
import type { Trail } from '../../../src/core/trail/trail.js';
import { Terminal } from '../../support/terminal.js';

type Send = typeof import('../../../src/cli/http.js').send;
const http = vi.hoisted(() => ({ send: (async () => ({ status: 500, headers: {}, text: '' })) as Send }));
vi.mock('../../../src/cli/http.js', () => ({ send: (...words: Parameters<Send>) => http.send(...words) }));

/** What operators type when something does not work, against a controller that answers as the test says. */
describe('maru network and maru trail', () => {
  let asked: string[];
  let answer: unknown;
  let terminal: Terminal;

  beforeEach(() => {
    asked = [];
    terminal = Terminal.open();
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    http.send = async (url, init) => {
      const path = url.replace('http://127.0.0.1:1', '');
      if (path.startsWith('/identity'))
        return { status: 201, headers: { 'x-subject-token': 't' }, text: '{}' };
      asked.push(`${init.method} ${path}`);
      return { status: 200, headers: {}, text: JSON.stringify(answer) };
    };
  });
  afterEach(() => terminal.close());

  const maru = async (...words: string[]) => {
    terminal.written = '';
    await createProgram().parseAsync(['node', 'maru', ...words]);
    return terminal.written;
  };

  const hop = (host: string | null, what: string, state: 'ok' | 'fail' | 'unknown') => ({
    host,
    what,
    state,
    detail: `${what} is ${state}`,
    show: 'ip link',
    object: null,
  });
  const trace = (broken: number | null): Trace => ({
    target: '203.0.113.50 → port p',
    traffic: 'tcp port 22',
    hops: [hop(null, 'floating IP', 'ok'), hop('host1', 'uplink', broken === null ? 'ok' : 'fail')],
    broken,
    verdict: broken === null ? 'Nothing is broken.' : 'On host1, uplink: out.',
  });

  it('prints a trace hop by hop, and fails when it is broken', async () => {
    answer = { traces: [trace(1)] };
    const text = await maru(
      'network',
      'trace',
      '203.0.113.50',
      '--protocol',
      'tcp',
      '--port',
      '22',
      '--probe',
    );
    expect(asked).toEqual(['GET /maru/v1/trace?target=203.0.113.50&protocol=tcp&port=22&probe=true']);
    expect(text).toBe(`203.0.113.50 → port p (tcp port 22)

HOST   WHAT         STATE  DETAIL
-      floating IP  ok     floating IP is ok
host1  uplink       FAIL   uplink is fail

On host1, uplink: out.
`);
    expect(process.exitCode).toBe(1);
  });

  it('succeeds when nothing on the way is broken, also as JSON', async () => {
    answer = { traces: [trace(null)] };
    expect(JSON.parse(await maru('network', 'trace', 'web', '--json'))).toEqual([trace(null)]);
    expect(process.exitCode).toBeUndefined();
  });

  it('asks one host only, when one is named', async () => {
    answer = { network: { hosts: [], ports: [], subnets: [] } };
    await maru('network', 'show', 'private', '--host', 'host 7', '--json');
    expect(asked).toEqual(['GET /maru/v1/networks/private?host=host+7']);
  });

  it('prints what hosts have of a network, with the commands', async () => {
    const view: NetworkView = {
      id: 'n1',
      name: 'private',
      project_id: 'demo',
      type: 'vxlan',
      physical_network: null,
      segmentation_id: 7,
      mtu: 1450,
      external: false,
      subnets: [{ id: 's1', cidr: '10.0.0.0/24', gateway_ip: '10.0.0.1', enable_dhcp: true }],
      ports: [],
      hosts: [
        {
          host: 'host1',
          state: 'up',
          objects: [hop('host1', 'tunnel', 'fail')],
          reports: [
            {
              object: 'network/n1',
              state: 'error',
              current: true,
              error: 'no such bridge',
              reported_at: new Date(Date.now() - 3 * 3_600_000).toISOString(),
            },
          ],
        },
      ],
    };
    answer = { network: view };
    const text = await maru('network', 'show', 'private');
    expect(asked).toEqual(['GET /maru/v1/networks/private']);
    expect(text).toContain('segment: vxlan 7, MTU 1450');
    expect(text).toContain('tunnel  FAIL   tunnel is fail  ip link');
    expect(text).toContain('network/n1: no such bridge (reported 3 h ago)');
    expect(process.exitCode).toBe(1);
  });

  const trail: Trail = {
    object: 'server/s1',
    more: true,
    entries: [
      {
        number: 1,
        at: '2030-01-01T00:00:00.000Z',
        what: 'action',
        detail: 'create',
        host: null,
        request_id: 'req-1',
        user_id: 'u1',
        project_id: 'p1',
        after: null,
        took: null,
      },
      {
        number: 2,
        at: '2030-01-01T00:00:03.400Z',
        what: 'ended',
        detail: 'done',
        host: 'host1',
        request_id: 'req-1',
        user_id: null,
        project_id: null,
        after: 3400,
        took: 3400,
      },
    ],
  };

  it('prints a trail, oldest first, with what it took and by whom', async () => {
    answer = { trail };
    const text = await maru('server', 'trail', 'web 1', '--limit', '2');
    expect(asked).toEqual(['GET /maru/v1/trail?object=server%2Fweb+1&limit=2']);
    expect(text).toBe(`server/s1: the latest entries; --limit shows more

TIME                     AFTER  WHAT    HOST   REQUEST  DETAIL
2030-01-01 00:00:00.000         action  -      req-1    create (user u1, project p1)
2030-01-01 00:00:03.400  3.4 s  ended   host1  req-1    done, after 3.4 s
`);
    expect(JSON.parse(await maru('trail', 'router/r1', '--json'))).toEqual(trail);
    expect(asked.at(-1)).toBe('GET /maru/v1/trail?object=router%2Fr1');
  });

  it('refuses what is no object and no number', async () => {
    await expect(maru('trail', 'web1')).rejects.toThrow(CliError);
    await expect(maru('server', 'trail', 'web1', '--limit', 'all')).rejects.toThrow('--limit all');
    expect(asked).toEqual([]);
  });
});
