import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliError } from '../../../src/cli/error.js';
import { createProgram } from '../../../src/cli/program.js';
import { Terminal } from '../../support/terminal.js';

type Send = typeof import('../../../src/cli/http.js').send;
const http = vi.hoisted(() => ({ send: (async () => ({ status: 500, headers: {}, text: '' })) as Send }));
vi.mock('../../../src/cli/http.js', () => ({ send: (...words: Parameters<Send>) => http.send(...words) }));

/** What operators type about hosts, against a controller that answers as the test says. */
describe('maru for operators', () => {
  let asked: { method: string; path: string; body: unknown }[];
  let answers: Map<string, { status?: number; body: unknown }>;
  let terminal: Terminal;

  beforeEach(() => {
    asked = [];
    answers = new Map();
    terminal = Terminal.open();
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    http.send = async (url, init) => {
      const path = url.replace('http://127.0.0.1:1', '');
      if (path.startsWith('/identity'))
        return { status: 201, headers: { 'x-subject-token': 't' }, text: '{}' };
      asked.push({ method: init.method, path, body: init.body ? JSON.parse(init.body) : undefined });
      const { status = 200, body } = answers.get(`${init.method} ${path}`) ?? { status: 404, body: {} };
      return { status, headers: {}, text: status === 204 ? '' : JSON.stringify(body) };
    };
  });
  afterEach(() => terminal.close());

  const maru = async (...words: string[]) => {
    terminal.written = '';
    await createProgram().parseAsync(['node', 'maru', ...words]);
    return terminal.written;
  };
  const ca = {
    phase: 'rotating',
    since: '2026-01-01T00:00:00.000Z',
    authorities: [
      {
        fingerprint: 'a'.repeat(64),
        created_at: '',
        expires_at: '2035-01-01T00:00:00Z',
        signs_hosts: false,
        signs_controller: true,
      },
      {
        fingerprint: 'b'.repeat(64),
        created_at: '',
        expires_at: '2036-01-01T00:00:00Z',
        signs_hosts: true,
        signs_controller: false,
      },
    ],
    hosts: [
      {
        name: 'host1',
        up: true,
        expires_at: '2100-01-01T00:00:00Z',
        authority: 'b'.repeat(64),
        renewed: true,
        trusts_retired: false,
      },
      {
        name: 'host2',
        up: false,
        expires_at: '2100-01-01T00:00:00Z',
        authority: 'a'.repeat(64),
        renewed: false,
        trusts_retired: false,
      },
      {
        name: 'host3',
        up: false,
        expires_at: '2000-01-01T00:00:00Z',
        authority: 'a'.repeat(64),
        renewed: false,
        trusts_retired: false,
      },
    ],
    waiting_for: ['host2', 'host3'],
  };

  it('shows how far each host is in a replacement of the authority', async () => {
    answers.set('GET /maru/v1/ca', { body: { ca } });
    const text = await maru('ca', 'show');
    expect(text).toMatch(/bbbbbbbbbbbb until 2036-01-01: signs hosts/);
    expect(text).toMatch(/host1 +up +bbbbbbbbbbbb/);
    expect(text).toMatch(/host2 +down +aaaaaaaaaaaa .*waits for a new certificate/);
    expect(text).toMatch(/host3 .*expired: maru host token --name host3/);
    expect(text).toContain('2 host(s) wait');
    expect(process.exitCode).toBe(1);
    expect(JSON.parse(await maru('ca', 'show', '--json'))).toEqual(ca);
    const done = { ...ca, phase: 'none', since: null, waiting_for: [] };
    answers.set('GET /maru/v1/ca', { body: { ca: done } });
    process.exitCode = undefined;
    expect(await maru('ca', 'show')).toContain('not being replaced');
    expect(process.exitCode).toBeUndefined();
  });

  it('begins, turns back and ends a replacement, and says who has to join again', async () => {
    for (const action of ['rotate', 'abort']) {
      answers.set(`POST /maru/v1/ca/${action}`, { status: 202, body: { ca } });
      await maru('ca', action);
    }
    answers.set('POST /maru/v1/ca/finish', { body: { ca: { ...ca, tokens_ended: 2 } } });
    const text = await maru('ca', 'finish', '--force');
    expect(text).toContain('host host2 has to join again: maru host token --name host2');
    expect(text).toContain('2 unused join token(s)');
    await maru('ca', 'finish');
    expect(asked.map(({ path, body }) => [path, body])).toEqual([
      ['/maru/v1/ca/rotate', {}],
      ['/maru/v1/ca/abort', {}],
      ['/maru/v1/ca/finish', { force: true }],
      ['/maru/v1/ca/finish', { force: false }],
    ]);
    answers.set('POST /maru/v1/ca/finish', {
      status: 409,
      body: { error: { message: 'These hosts still have a certificate: host2' } },
    });
    await expect(maru('ca', 'finish')).rejects.toThrow(/409 These hosts still have a certificate: host2/);
  });

  it('lists what is left over, and removes exactly what is named', async () => {
    const orphan = {
      host: 'host1',
      kind: 'dnsmasq',
      name: 'dhcp/x',
      detail: '/var/lib/x',
      object: 'dhcp/x',
      since: null,
      database: null,
    };
    answers.set('GET /maru/v1/orphans', { body: { orphans: [] } });
    expect(await maru('cleanup')).toBe('Nothing is left over.\n');
    answers.set('GET /maru/v1/orphans?host=host1', { body: { orphans: [orphan] } });
    expect(await maru('cleanup', 'host1')).toMatch(
      /host1 +dnsmasq\/dhcp\/x +just now +nothing +\/var\/lib\/x/,
    );
    expect(JSON.parse(await maru('cleanup', 'host1', '--json'))).toEqual([orphan]);
    answers.set('POST /maru/v1/hosts/host1/orphans/remove', { status: 204, body: null });
    expect(await maru('cleanup', 'host1', '--remove', 'dnsmasq/dhcp/x')).toContain('removed from host host1');
    await maru('cleanup', 'host1', '--remove', 'domain/y', '--destroy-data');
    expect(asked.slice(-2).map(({ body }) => body)).toEqual([
      { kind: 'dnsmasq', name: 'dhcp/x', destroy_data: false },
      { kind: 'domain', name: 'y', destroy_data: true },
    ]);
    for (const words of [
      ['--remove', 'domain/y'],
      ['host1', '--remove', 'domain'],
      ['host1', '--destroy-data'],
    ]) {
      const error = await maru('cleanup', ...words).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(CliError);
      expect((error as CliError).exitCode).toBe(2);
    }
    expect(asked).toHaveLength(5);
  });

  it('shows what hosts would change after a restored backup, and accepts them', async () => {
    const incarnation = {
      id: 'i2',
      reason: 'the database is older than what host host1 has',
      since: '2026-01-01T00:00:00.000Z',
      hosts: [
        {
          name: 'host1',
          up: true,
          observe_only: true,
          steps: [{ object: 'server/a', action: 'virsh define instance-1', detail: 'no such domain' }],
          problem: null,
          orphans: [
            {
              host: 'host1',
              kind: 'domain',
              name: 'instance-9',
              detail: 'running',
              object: null,
              since: null,
              database: null,
            },
          ],
        },
        {
          name: 'host2',
          up: false,
          observe_only: true,
          steps: null,
          problem: 'does not answer',
          orphans: [],
        },
        { name: 'host3', up: true, observe_only: false, steps: [], problem: null, orphans: [] },
      ],
    };
    answers.set('GET /maru/v1/incarnation', { body: { incarnation } });
    const text = await maru('incarnation', 'show');
    expect(process.exitCode).toBe(1);
    expect(text).toContain('older than what host host1 has');
    expect(text).toContain('would change  server/a: virsh define instance-1 no such domain');
    expect(text).toContain('keeps         domain/instance-9');
    expect(text).toContain('cannot tell what it would change: does not answer');
    expect(text).not.toContain('HOST host3');
    answers.set('POST /maru/v1/incarnation/accept', { body: { accepted: ['host1'] } });
    expect(await maru('incarnation', 'accept', 'host1')).toContain('act on the database again: host1');
    await maru('incarnation', 'accept', '--all');
    answers.set('POST /maru/v1/incarnation', { status: 204, body: null });
    await maru('incarnation', 'new', '--reason', 'restored Monday');
    expect(asked.slice(1).map(({ body }) => body)).toEqual([
      { hosts: ['host1'] },
      { all: true },
      { reason: 'restored Monday' },
    ]);
    await expect(maru('incarnation', 'accept')).rejects.toThrow(/name hosts, or give --all/);
    await expect(maru('incarnation', 'accept', 'host1', '--all')).rejects.toThrow(CliError);
  });

  it('removes a host and says what became of what was on it', async () => {
    const removal = {
      host: { id: 'h', name: 'host1' },
      lost: true,
      servers: [{ id: 's1', name: 'web1' }],
      volumes: [{ id: 'v1', name: 'data' }],
      routers: [
        { id: 'r1', name: 'edge', moved_to: 'host2' },
        { id: 'r2', name: 'other', moved_to: null },
      ],
      unconfirmed: ['server/s2'],
      warnings: ['host1 must not come up again'],
    };
    answers.set('DELETE /maru/v1/hosts/host1?force=true', { body: { removal } });
    const text = await maru('host', 'remove', 'host1', '--force');
    for (const line of [
      'host host1 removed',
      'server web1 (s1), now ERROR',
      'volume data (v1), now error',
      'router edge (r1), now on host2',
      'router other (r2), waits for a host',
      'not confirmed as destroyed: server/s2',
      'WARNING: host1 must not come up again',
    ])
      expect(text).toContain(line);
    expect(JSON.parse(await maru('host', 'remove', 'host1', '--force', '--json'))).toEqual(removal);
    answers.set('DELETE /maru/v1/hosts/host1', {
      status: 409,
      body: { error: { message: 'Host host1 still has 1 server (web1 s1)' } },
    });
    await expect(maru('host', 'remove', 'host1')).rejects.toThrow(/still has 1 server/);
  });

  it('shows a host’s certificate, what could not be delivered, and that it only observes', async () => {
    const host = {
      name: 'host1',
      state: 'up',
      enabled: true,
      observe_only: true,
      simulated: false,
      warnings: [],
      fault_list: [{ object: 'server/x', message: 'no such image', hint: 'upload it' }],
      physical_networks: [],
      last_seen_at: null,
      certificate: { state: 'expired', expires_at: '2026-01-01T00:00:00Z', authority: 'c'.repeat(64) },
      delivery_fault: 'host1 does not answer',
      orphans: [{ kind: 'domain', name: 'instance-9', detail: 'running', since: null }],
    };
    answers.set('GET /maru/v1/hosts/host1', { body: { host } });
    const text = await maru('host', 'show', 'host1');
    expect(text).toMatch(/acts: +NO: it only observes/);
    expect(text).toMatch(
      /certificate: +expired, until 2026-01-01T00:00:00Z of authority cccccccccccc; maru host token --name host1/,
    );
    expect(text).toMatch(/not delivered: +host1 does not answer/);
    expect(text).toMatch(/server\/x: no such image — upload it/);
    expect(text).toMatch(/domain\/instance-9 \(running\)/);
  });

  it('has help with examples for each of these', async () => {
    for (const words of [
      ['ca', 'show'],
      ['ca', 'rotate'],
      ['ca', 'abort'],
      ['ca', 'finish'],
      ['cleanup'],
      ['incarnation', 'show'],
      ['incarnation', 'new'],
      ['incarnation', 'accept'],
      ['host', 'remove'],
      ['host', 'token'],
    ]) {
      await maru(...words, '--help').catch(() => {});
      expect(terminal.written, words.join(' ')).toContain('Examples:');
    }
  });
});
