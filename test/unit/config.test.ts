import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { AGENT_SECTION, loadAgentConfig } from '../../agents/config.js';
import { crossCheck } from '../../src/cli/config/cross-checks.js';
import { ALL_SECTIONS, readWhole } from '../../src/cli/config/sections.js';
import { CONTROLLER_SECTION, loadConfig } from '../../src/config.js';
import { ConfigDocument } from '../../src/protocol/config/document.js';
import type { KeyTable, Section } from '../../src/protocol/config/key.js';
import { ConfigInvalid } from '../../src/protocol/config/problem.js';
import { readSection, type SectionReading } from '../../src/protocol/config/read.js';
import { renderDefaults, renderEffective } from '../../src/protocol/config/render.js';
import { didYouMean } from '../../src/protocol/config/suggest.js';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-config-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(directory, 'maru.yaml');
  writeFileSync(path, text, { mode: 0o640 });
  return path;
}

describe('the documented file', () => {
  const text = renderDefaults(ALL_SECTIONS);
  const keyLines = text.split('\n').flatMap((line, i) => (/^ {2}#\S/.test(line) ? [i] : []));

  it('has every key of every section, and sets none', () => {
    expect(keyLines).toHaveLength(ALL_SECTIONS.reduce((sum, { keys }) => sum + Object.keys(keys).length, 0));
    const whole = readWhole(file(text));
    expect(whole.document.problems).toEqual([]);
    for (const name of ['controller', 'agent'] as const) {
      expect(new Set(Object.values(whole[name].origins).map(({ from }) => from))).toEqual(
        new Set(['default']),
      );
    }
    expect(loadConfig(file(text))).toEqual(loadConfig(file('')));
    expect(loadAgentConfig(file(text))).toEqual(loadAgentConfig(file('')));
  });

  it('says the same whichever of its keys are taken out of their comments, and passes the check', async () => {
    await fc.assert(
      fc.asyncProperty(fc.subarray(keyLines), async (chosen) => {
        const lines = text.split('\n');
        for (const i of chosen) lines[i] = lines[i]!.replace('#', '');
        const whole = readWhole(file(lines.join('\n')));
        await crossCheck(whole);
        expect(whole.document.problems.filter(({ severity }) => severity === 'error')).toEqual([]);
        expect(loadConfig(file(lines.join('\n')))).toEqual(loadConfig(file('')));
        expect(loadAgentConfig(file(lines.join('\n')))).toEqual(loadAgentConfig(file('')));
      }),
      { numRuns: 60 },
    );
  });
});

describe('maru config show', () => {
  const word = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !/[\n\r]/.test(text));
  const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,12}[a-z0-9])?$/);
  const policy = fc.constantFrom('heal', 'report');
  const controller = fc.record(
    {
      region: word,
      name,
      listen: fc.tuple(fc.ipV4(), fc.nat(65_535)).map(([ip, port]) => `${ip}:${port}`),
      agent_names: fc.array(fc.oneof(name, fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 3 }),
      vni_range: fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 100, max: 16_000_000 })),
      drift: fc.record({ router: policy, server: policy, 'group-members': policy }, { requiredKeys: [] }),
      cpu_allocation_ratio: fc.double({ min: 0.1, max: 64, noNaN: true }),
      host_down_after: fc.oneof(
        fc.integer({ min: 1, max: 86_400 }),
        fc.constantFrom('90s', '5min', '1.5h', '1 d'),
      ),
      physical_networks: fc.array(name, { maxLength: 3 }),
      log_file: fc.constantFrom(null, '/var/log/maru/controller.log', '/var/log/a: b #c'),
    },
    { requiredKeys: [] },
  );
  const agent = fc.record(
    {
      physical_networks: fc.dictionary(name, name, { maxKeys: 3 }),
      underlay_ip: fc.oneof(fc.ipV4(), fc.ipV6()),
      libvirt_uri: word,
      max_removal_share: fc.double({ min: 0, max: 1, noNaN: true }),
    },
    { requiredKeys: [] },
  );

  it('prints what, read again, is the same', () => {
    fc.assert(
      fc.property(controller, agent, (one, other) => {
        for (const [section, values] of [
          [CONTROLLER_SECTION, one],
          [AGENT_SECTION, other],
        ] as unknown as [Section, object][]) {
          const given = read(section, stringify({ [section.name]: values }));
          const again = read(section, renderEffective(section, given as SectionReading<KeyTable>));
          expect(again.values).toEqual(given.values);
        }
      }),
      { numRuns: 200 },
    );
  });

  function read(section: Section, text: string) {
    const document = ConfigDocument.parse(text, 'test');
    const reading = readSection(document, section);
    expect(document.problems).toEqual([]);
    return reading;
  }
});

describe('loading', () => {
  it('puts the password of a file into the URL of the database, whatever is in it', () => {
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'p@ss/wörd?%\n', { mode: 0o600 });
    const text = `controller:\n  database: postgres://maru@/maru?host=/run/postgresql\n  database_password_file: ${secret}\n`;
    const { database } = loadConfig(file(text));
    expect(database).toBe(`postgres://maru:${encodeURIComponent('p@ss/wörd?%')}@/maru?host=/run/postgresql`);
  });

  it('is refused with every mistake of its own section; other sections are other programs’ business', () => {
    const text = 'controller:\n  listn: x\n  build_timeout: -1\nagent:\n  virt_type: kmv\n';
    const refusal = (load: (path: string) => unknown) => {
      try {
        load(file(text));
      } catch (error) {
        return (error as ConfigInvalid).problems.map(({ line, message }) => [line, message.slice(0, 25)]);
      }
      return null;
    };
    expect(refusal(loadConfig)).toEqual(
      [
        [2, "unknown key 'listn' in sec"],
        [3, "'build_timeout' must be a "],
      ].map(([line, text]) => [line, String(text).slice(0, 25)]),
    );
    expect(refusal(loadAgentConfig)).toEqual([[5, "'virt_type' must be one of".slice(0, 25)]]);
    expect(() => loadConfig('/no/such/file')).toThrow(ConfigInvalid);
    expect(() => loadConfig('/no/such/file')).toThrow(/there is no such file; maru config show --defaults/);
  });

  it('says of a file in a closed directory that it cannot be looked at, not that it is not there', () => {
    const closed = join(directory, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    writeFileSync(join(closed, 'policy.yaml'), '');
    const path = file(`controller:\n  policy_file: ${closed}/policy.yaml\n`);
    chmodSync(directory, 0o755);
    chmodSync(path, 0o644);
    const uid = process.geteuid!();
    chmodSync(closed, uid === 0 ? 0o700 : 0o000);
    // what directories are closed to is not root
    if (uid === 0) process.seteuid!(65_534);
    try {
      expect(() => loadConfig(path)).toThrow(
        /this user \(.+\) may not look there \(EACCES\); sudo namei -l .+policy\.yaml/,
      );
    } finally {
      if (uid === 0) process.seteuid!(uid);
      chmodSync(closed, 0o700);
    }
  });

  it('warns of a key that the controller’s user may not read, and says which directory or file keeps it out', async () => {
    // what is below it may be looked at by everybody
    chmodSync(directory, 0o755);
    const inside = join(directory, 'tls');
    mkdirSync(inside);
    const [certificate, secret] = [join(inside, 'api.pem'), join(inside, 'api.key')];
    writeFileSync(certificate, '', { mode: 0o644 });
    writeFileSync(secret, '', { mode: 0o600 });
    symlinkSync(secret, join(directory, 'link.key'));
    const text = `controller:\n  tls_cert_file: ${certificate}\n  tls_key_file: ${directory}/link.key\n`;
    const warnings = async (user?: string) => {
      const whole = readWhole(file(text));
      await crossCheck(whole, user);
      return whole.document.problems.map(({ severity, message }) => `${severity}: ${message}`);
    };
    const closed = (key: string, by: string) =>
      `warning: '${key}' is closed to user nobody, as whom the controller runs, by the mode of ${by}`;
    chmodSync(inside, 0o755);
    expect(await warnings('nobody')).toEqual([closed('tls_key_file', secret)]);
    chmodSync(inside, 0o700);
    expect(await warnings('nobody')).toEqual([
      closed('tls_cert_file', inside),
      closed('tls_key_file', inside),
    ]);
    chmodSync(inside, 0o755);
    chmodSync(secret, 0o644);
    expect(await warnings('nobody')).toEqual([]);
    expect(await warnings('no-such-user')).toEqual([]);
  });

  it('refuses times that timers cannot be set to', () => {
    for (const [section, key, load] of [
      ['agent', 'full_sync_interval', loadAgentConfig],
      ['agent', 'boot_wait', loadAgentConfig],
      ['controller', 'host_down_after', loadConfig],
      ['controller', 'router_failover_delay', loadConfig],
      ['controller', 'build_timeout', loadConfig],
    ] as const) {
      expect(() => load(file(`${section}:\n  ${key}: 30d\n`)), key).toThrow(/the most is \d+/);
      expect(load(file(`${section}:\n  ${key}: 1h\n`))).toMatchObject({ [key]: 3600 });
    }
  });

  it('refuses rules for passwords that nobody could follow', () => {
    const load = (keys: string) => loadConfig(file(`controller:\n${keys}`));
    expect(() => load("  password_regex: '(?P<digit>\\d'\n")).toThrow(
      /'password_regex' must be a regular expression/,
    );
    expect(() => load('  minimum_password_age: 30\n  password_expires_days: 30\n')).toThrow(
      /'minimum_password_age' is not below password_expires_days/,
    );
    expect(() => load('  lockout_failure_attempts: 0\n')).toThrow(/lockout_failure_attempts/);
    expect(load('  lockout_failure_attempts: 6\n  lockout_duration: 30min\n')).toMatchObject({
      lockout_failure_attempts: 6,
      lockout_duration: 1800,
      password_regex: null,
      unique_last_password_count: 0,
      auth_receipt_lifetime: 300,
    });
    expect(load('  lockout_duration: null\n').lockout_duration).toBeNull();
  });

  it('takes times with units', () => {
    const text = 'agent:\n  heartbeat_interval: 500ms\n  boot_wait: 2min\n  full_sync_interval: 1.5h\n';
    expect(loadAgentConfig(file(text))).toMatchObject({
      heartbeat_interval: 0.5,
      boot_wait: 120,
      full_sync_interval: 5400,
    });
  });
});

describe('suggestions', () => {
  it.each([
    ['lisen', 'listen'],
    ['Listen', 'listen'],
    ['log-level', 'log_level'],
    ['loglevel', 'log_level'],
    ['heartbeet_interval', 'heartbeat_interval'],
    ['nmae', 'name'],
  ])('%s: %s', (word, meant) => {
    const known = [...Object.keys(CONTROLLER_SECTION.keys), ...Object.keys(AGENT_SECTION.keys)];
    expect(didYouMean(word, known)).toBe(`did you mean '${meant}'?`);
  });

  it('nothing for what is near to nothing', () => {
    expect(didYouMean('colour', Object.keys(CONTROLLER_SECTION.keys))).toBe('');
  });
});
