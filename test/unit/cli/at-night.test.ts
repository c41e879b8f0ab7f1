import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { removalText } from '../../../src/cli/cleanup.js';
import { send } from '../../../src/cli/http.js';
import { createProgram } from '../../../src/cli/program.js';
import { headline } from '../../../src/cli/server-headline.js';
import { statusText } from '../../../src/cli/status.js';
import type { ServerExplanation } from '../../../src/core/server/explain.js';
import type { CloudStatus } from '../../../src/core/status/status.js';
import { Terminal } from '../../support/terminal.js';

vi.mock('../../../src/cli/http.js', () => ({ send: vi.fn() }));

const STATUS: CloudStatus = {
  summary: '1 outage, 1 failure; 1 of 2 hosts up.',
  problems: [
    { gravity: 'outage', what: 'Host h2 is down, with 3 server(s)', advice: 'on h2: sudo maru doctor' },
    { gravity: 'failure', what: 'Server web is ERROR: no host', advice: 'maru server explain 1' },
  ],
  warnings: ['h1: its disk is 90 % full'],
  counts: { hosts: 2, 'servers ACTIVE': 4 },
  capacity: { VCPU: { used: 8, total: 64 } },
  database: { kind: 'sqlite', bytes: 3_000_000 },
  version: '0.1.0',
};

const EXPLAINED: ServerExplanation = {
  id: 's1',
  name: 'web',
  status: 'ACTIVE',
  host: 'h1',
  wants: 'running, 1 vCPU, 512 MB, zone any',
  fault: null,
  observed: 'server applied, power running at 2026-01-01',
  task: null,
  owed: [],
  placement: null,
  hosts: [],
  now: null,
};
const TASK: NonNullable<ServerExplanation['task']> = {
  id: 't1',
  kind: 'server.build',
  object: 'server/s1',
  project_id: null,
  request_id: null,
  step: 'wait',
  state: 'active',
  waiting_for: 'host h1, which is down',
  attempts: 1,
  owner: null,
  lease_until: null,
  next_run_at: null,
  deadline: '2100-01-01T00:00:00Z',
  error: null,
  created_at: '',
  updated_at: '',
  finished_at: null,
};

describe('what is read in a hurry', () => {
  it('the page of status begins with what is wrong, each with what to do', () => {
    expect(statusText(STATUS)).toBe(`1 outage, 1 failure; 1 of 2 hosts up.

OUTAGE   Host h2 is down, with 3 server(s)
         → on h2: sudo maru doctor
FAILURE  Server web is ERROR: no host
         → maru server explain 1

warning  h1: its disk is 90 % full

2 hosts, 4 servers ACTIVE, vCPUs 8 of 64 given out, database 2.9 MiB (sqlite), controller 0.1.0
`);
  });

  it('a server’s explanation begins with how it is and what to do', () => {
    expect(headline(EXPLAINED)).toEqual(['web is ACTIVE on h1; nothing is under way with it.']);
    expect(headline({ ...EXPLAINED, status: 'ERROR', fault: 'no space left\ndetails' })).toEqual([
      'web is in ERROR: no space left',
      '→ maru server trail s1; maru doctor h1',
    ]);
    const unplaced = { ...EXPLAINED, status: 'ERROR', host: null, fault: 'No valid host was found.' };
    expect(headline(unplaced)[1]).toMatch(/^→ make room/);
    const building = { ...EXPLAINED, status: 'BUILD (spawning)', task: TASK };
    expect(headline(building)).toEqual([
      'web is BUILD (spawning): server.build is at step wait, waits for host h1, which is down.',
    ]);
    const late = { ...building, task: { ...TASK, deadline: '2020-01-01T00:00:00Z' } };
    expect(headline(late)).toEqual([
      expect.stringMatching(/overdue since 2020-01-01T00:00:00Z\.$/),
      '→ maru task show t1; maru task retry t1; maru doctor h1',
    ]);
    const broken = { ...EXPLAINED, observed: 'server error at 2026: qemu-img: exit code 1' };
    expect(headline(broken)).toEqual([
      'web is ACTIVE on h1, but server error at 2026: qemu-img: exit code 1',
      '→ maru host show h1; maru doctor h1',
    ]);
    const gone = {
      ...EXPLAINED,
      wants: 'nothing: deleted since 2026',
      owed: ['h1 (down) has to destroy it'],
    };
    expect(headline(gone)[0]).toBe('web is gone for its owner; h1 (down) has to destroy it.');
  });

  it('what is left over comes with the commands that remove it, data apart', () => {
    const orphan = { host: 'h1', detail: '', object: null, since: null, database: null };
    expect(
      removalText([
        { ...orphan, kind: 'bridge', name: 'brq1' },
        { ...orphan, kind: 'volume-file', name: 'my guest' },
      ]),
    ).toBe(`Each is kept until you remove it.
Without data of tenants:
  maru cleanup h1 --remove bridge/brq1
WITH DATA, which is gone for good then: look first whose it is and whether there is a copy
  maru cleanup h1 --remove 'volume-file/my guest' --destroy-data
`);
  });
});

describe('maru status without a controller', () => {
  let terminal: Terminal;
  beforeEach(() => {
    terminal = Terminal.open();
    vi.mocked(send).mockRejectedValue(new Error('connect ECONNREFUSED 127.0.0.1:1'));
  });
  afterEach(() => terminal.close());

  it('says so, names the doctor, and ends with 1', async () => {
    await createProgram().parseAsync(['node', 'maru', 'status']);
    expect(terminal.written).toMatch(
      /^The controller does not answer\. Guests and networks of the hosts run on/,
    );
    expect(terminal.written).toMatch(
      /OUTAGE {3}no answer from the controller at http:\/\/127\.0\.0\.1:1 \(connect ECONNREFUSED/,
    );
    expect(terminal.written).toContain('sudo maru doctor');
    expect(process.exitCode).toBe(1);
    terminal.written = '';
    await createProgram().parseAsync(['node', 'maru', 'status', '--json']);
    expect(JSON.parse(terminal.written).problems[0].gravity).toBe('outage');
  });
});
