import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CliError } from '../../../src/cli/error.js';
import { createProgram } from '../../../src/cli/program.js';
import type { AuditRecord } from '../../../src/core/audit/read.js';

type Send = typeof import('../../../src/cli/http.js').send;
const http = vi.hoisted(() => ({ send: (async () => ({ status: 500, headers: {}, text: '' })) as Send }));
vi.mock('../../../src/cli/http.js', () => ({ send: (...words: Parameters<Send>) => http.send(...words) }));

/** Who did what, as operators ask for it, of a controller that answers as the test says. */
describe('maru audit', () => {
  let asked: string[];
  let answer: unknown;
  let written: string;

  beforeEach(() => {
    asked = [];
    process.exitCode = undefined;
    vi.stubEnv('OS_AUTH_URL', 'http://127.0.0.1:1/identity/v3');
    vi.stubEnv('OS_USERNAME', 'admin');
    vi.stubEnv('OS_PASSWORD', 'secret');
    vi.stubEnv('OS_PROJECT_NAME', 'admin');
    vi.stubEnv('OS_CLOUD', undefined);
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written += String(text);
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    http.send = async (url, init) => {
      const path = url.replace('http://127.0.0.1:1', '');
      if (path.startsWith('/identity'))
        return { status: 201, headers: { 'x-subject-token': 't' }, text: '{}' };
      asked.push(`${init.method} ${path}`);
      return { status: 200, headers: {}, text: JSON.stringify(answer) };
    };
  });
  afterEach(() => {
    vi.unstubAllEnvs();
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  const maru = async (...words: string[]) => {
    written = '';
    await createProgram().parseAsync(['node', 'maru', ...words]);
    return written;
  };

  const record: AuditRecord = {
    id: '01a20559-bc91-7000-abf2-bf4c6e0f6bbc',
    at: '2030-01-31T09:00:00.000Z',
    repeats: 1,
    last_at: '2030-01-31T09:00:00.000Z',
    service: 'compute',
    action: 'os_compute_api:servers:delete',
    outcome: 'succeeded',
    status: 204,
    reason: null,
    request: { id: 'req-1', global_id: null, method: 'DELETE', path: '/compute/v2.1/servers/s1' },
    user: { id: 'u1', name: 'alice', domain: { id: 'default', name: 'Default' } },
    scope: 'project',
    project: { id: 'p1', name: 'demo' },
    domain: { id: 'default', name: 'Default' },
    application_credential_id: null,
    trust_id: null,
    token_audit_id: 'token-1',
    address: '192.0.2.1',
    target: { type: 'server', id: 's1', name: 'web', project_id: 'p1' },
    detail: { ids: ['a', 'b'] },
  };

  it('lists records with all its filters, one to a line', async () => {
    const login: AuditRecord = {
      ...record,
      action: 'identity:authenticate',
      outcome: 'refused',
      status: 401,
      repeats: 40,
      user: null,
      project: null,
      scope: null,
      target: { type: 'token', id: null, name: null, project_id: null },
    };
    answer = { records: [record, login], next: 'older' };
    const text = await maru(
      ...['audit', 'list', '--user', 'alice', '--type', 'server', '--request', 'req-1'],
      ...['--since', '2030-01-31T00:00:00Z', '--limit', '2'],
    );
    expect(asked).toEqual([
      'GET /maru/v1/audit?user=alice&limit=2&target_type=server&request_id=req-1&since=2030-01-31T00%3A00%3A00Z',
    ]);
    expect(text).toMatch(
      /2030-01-31 09:00:00.000 +alice +demo +os_compute_api:servers:delete +server web +succeeded 204 +192.0.2.1/,
    );
    expect(text).toMatch(/ - +- +identity:authenticate +token +refused 401 ×40/);
    expect(text).toContain('--marker older');
    expect(JSON.parse(await maru('audit', 'list', '--json'))).toEqual(answer);
    await maru('audit', 'list', '--since', '2h');
    const since = Date.parse(new URLSearchParams(asked.at(-1)!.split('?')[1]).get('since')!);
    expect(Math.abs(Date.now() - 7_200_000 - since)).toBeLessThan(60_000);
  });

  it('shows a record, and where to go on', async () => {
    answer = { record };
    const text = await maru('audit', 'show', record.id);
    expect(asked).toEqual([`GET /maru/v1/audit/${record.id}`]);
    expect(text).toMatch(/User: +alice \(u1\) of domain Default \(default\)/);
    expect(text).toMatch(/^Request: +req-1$/m);
    expect(text).toMatch(/^Call: +DELETE \/compute\/v2.1\/servers\/s1$/m);
    expect(text).toMatch(/Scope: +project demo \(p1\)\nProject's domain: +Default \(default\)\n/);
    expect(text).not.toMatch(/^ *:/m);
    expect(text).toContain('maru trail server/s1');
    expect(text).toContain('maru logs --request req-1');
    answer = { records: [record, record], next: null };
    expect((await maru('audit', 'show', 'req-1')).match(/^Record:/gm)).toHaveLength(2);
    answer = { records: [], next: null };
    await expect(maru('audit', 'show', 'req-2')).rejects.toThrow(CliError);
  });
});
