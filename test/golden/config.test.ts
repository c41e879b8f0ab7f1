import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { crossCheck } from '../../src/cli/config/cross-checks.js';
import { readWhole, type WholeReading } from '../../src/cli/config/sections.js';
import { describeProblem, inOrder } from '../../src/protocol/config/problem.js';

// a check loads it when there is a policy file: every service, which takes a busy machine longer than a test may take
import '../../src/cli/config/policy-file.js';

/** What `maru config check` says, as operators read it: files in test/golden/config. */

const GOLDEN = join(import.meta.dirname, 'config');
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'maru-config-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Everything that is said of a text, without the directory of its file. */
function said(text: string, mode = 0o640): string[] {
  return shown(readText(text, mode));
}

/** The same, with what only the whole shows. */
async function saidOfWhole(text: string, mode = 0o640): Promise<string[]> {
  const whole = readText(text, mode);
  expect(whole.document.problems).toEqual([]);
  await crossCheck(whole);
  return shown(whole);
}

function readText(text: string, mode: number): WholeReading {
  const file = join(directory, 'maru.yaml');
  writeFileSync(file, text.replaceAll('DIRECTORY', directory));
  chmodSync(file, mode);
  return readWhole(file);
}

function shown({ document }: WholeReading): string[] {
  return inOrder(document.problems).map((one) => describeProblem(one).replaceAll(`${directory}/`, ''));
}

describe('mistakes in a configuration file', () => {
  it('are told all at once, each with its line, column and what was probably meant', async () => {
    const text = readFileSync(join(GOLDEN, 'wrong.yaml'), 'utf8');
    await expect(`${said(text).join('\n')}\n`).toMatchFileSnapshot(join(GOLDEN, 'wrong.txt'));
  });

  it('of form are told in words that do not need YAML’s', async () => {
    const texts: Record<string, string> = {
      'a tab': 'controller:\n\tlisten: "127.0.0.1:5000"\n',
      'no colon': 'controller:\n  listen 127.0.0.1:5000\n  name: one\n',
      'an unquoted IPv6 address': 'controller:\n  listen: [::1]:5000\n',
      'a key too far left': 'controller:\n    name: one\n  region: two\n',
      'no sections': '- controller\n- agent\n',
      'a section that is a value': 'controller: yes\n',
      'a section twice': 'agent:\n  name: one\nagent:\n  name: two\n',
      'a quote without its end': 'agent:\n  name: "one\n',
    };
    const all = Object.entries(texts).map(([what, text]) => `${what}\n  ${said(text).join('\n  ')}\n`);
    await expect(all.join('\n')).toMatchFileSnapshot(join(GOLDEN, 'form.txt'));
  });

  it('never show what is secret', () => {
    const text = [
      'controller:',
      '  database: postgres://maru:sesame@db.example/maru?x=[',
      '  database_password: [sesame]',
    ].join('\n');
    const messages = [...said(text), ...said('controller: {database: "mysql://maru:sesame@db/maru"}')];
    expect(messages.join('\n')).toContain('mysql://maru:***@db/maru');
    expect(messages.join('\n')).not.toContain('sesame');
    expect(said(text).join('\n')).toContain("'database_password' must be the password");
  });

  it('of secrets in files: not there, not readable by its mode, empty, given twice', () => {
    const secret = join(directory, 'secret');
    const text =
      'controller:\n  database: postgres://maru@db/maru\n  database_password_file: DIRECTORY/secret\n';
    expect(said(text)).toEqual([
      "maru.yaml:3:27: error: 'database_password_file': there is no file secret; write the secret into it, with mode 0640",
    ]);
    writeFileSync(secret, 'sesame\n');
    chmodSync(secret, 0o644);
    expect(said(text)).toEqual([
      "maru.yaml:3:27: error: 'database_password_file': everybody may read secret (mode 0644); chmod 0640 secret",
    ]);
    chmodSync(secret, 0o640);
    expect(said(text)).toEqual([]);
    expect(said(`${text}  database_password: other\n`)).toEqual([
      "maru.yaml:4:3: error: 'database_password' and 'database_password_file' are both given; keep one",
    ]);
    expect(said(text.replace('postgres://maru@db', 'postgres://db'))).toEqual([
      "maru.yaml:3:3: error: 'database_password' is given, but the database URL names no user; postgres://user@host/database",
    ]);
    writeFileSync(secret, '\n');
    expect(said(text)).toEqual([
      "maru.yaml:3:27: error: 'database_password_file': secret is empty; write the secret into it",
    ]);
  });

  it('that only several keys, or this machine, show together', async () => {
    writeFileSync(join(directory, 'admin'), 'x');
    chmodSync(join(directory, 'admin'), 0o644);
    writeFileSync(join(directory, 'policy.yaml'), '"compute:get": "role:("\n');
    const text = `controller:
  database: postgres://maru:sesame@db.example/maru
  listen: 0.0.0.0:5443
  agent_listen: 127.0.0.1:5443
  public_url: http://127.0.0.1:5443
  admin_password_file: DIRECTORY/admin
  policy_file: DIRECTORY/policy.yaml
agent:
  listen: 0.0.0.0:5443
  underlay_ip: 192.0.2.77
`;
    const lines = (await saidOfWhole(text, 0o644)).map((line) =>
      // one without a network says nothing of what it has
      line.replace(/(this machine does not have)(; it has [\d., :a-f]+)?$/, '$1; it has …'),
    );
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot(join(GOLDEN, 'together.txt'));
  });

  it('refuses every policy file with which the controller would not start', async () => {
    const file = join(directory, 'policy.yaml');
    const check = async (rules: string) => {
      writeFileSync(file, rules);
      return await saidOfWhole('controller:\n  policy_file: DIRECTORY/policy.yaml\n');
    };
    expect(await check('"os_compute_api:servers:reboot": "role:x"\n')).toEqual([]);
    expect(await check('"os_compute_api:servers:rebot": "role:x"\n')).toEqual([
      expect.stringMatching(
        /2:3: error: 'policy_file' cannot be used: .* there is no policy named 'os_compute_api:servers:rebot'; did you mean/,
      ),
    ]);
    expect(await check('"os_compute_api:servers:reboot": "rule:nobody_has"\n')).toEqual([
      expect.stringContaining("refers to rule 'nobody_has', which does not exist"),
    ]);
    expect(await check('a: "rule:b"\nb: "rule:a"\n')).toEqual([expect.stringContaining('in a circle: a')]);
    expect(await check('"share:create": "role:x"\n')).toEqual([
      expect.stringMatching(/warning: 'policy_file' has names that nothing here has: share:create;/),
    ]);
  });

  it('finds nothing wrong with a right file, and warns of a password in it', async () => {
    expect(
      await saidOfWhole('controller:\n  listen: 0.0.0.0:5000\n  public_url: http://cloud.example.org:5000\n'),
    ).toEqual([]);
    expect(
      await saidOfWhole('controller:\n  database: postgres://maru@db/x\n  database_password: sesame\n'),
    ).toEqual([
      "maru.yaml:3:3: warning: 'database_password' is in the configuration itself; put it into a file of its own: database_password_file",
    ]);
    expect(await saidOfWhole('')).toEqual([]);
  });
});
