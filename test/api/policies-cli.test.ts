import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { parse } from 'yaml';
import { adminService } from '../../src/api/admin/service.js';
import { computeService } from '../../src/api/compute/service.js';
import { createProgram } from '../../src/cli/program.js';
import { ADMIN_PASSWORD, TestApp } from '../support/app.js';

describe('maru policy', () => {
  const directory = mkdtempSync(join(tmpdir(), 'maru-policies-'));
  let cloud: TestApp;
  let url: string;

  beforeAll(async () => {
    cloud = await TestApp.open({ services: [({ config }) => computeService(config), () => adminService()] });
    await cloud.fastify.listen({ host: '127.0.0.1', port: 0 });
    const { port } = cloud.fastify.server.address() as AddressInfo;
    vi.stubEnv('OS_CLOUD', undefined);
    url = `http://127.0.0.1:${port}/identity/v3`;
    vi.stubEnv('OS_AUTH_URL', url);
    for (const [name, value] of [
      ['OS_USERNAME', 'admin'],
      ['OS_PASSWORD', ADMIN_PASSWORD],
      ['OS_PROJECT_NAME', 'admin'],
    ] as const)
      vi.stubEnv(name, value);
    await cloud.projectToken('web');
    await cloud.projectToken('web', 'reader');
  });
  afterEach(() => {
    process.exitCode = undefined;
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await cloud.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const maru = async (...words: string[]): Promise<string> => {
    let out = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += text;
      return true;
    });
    try {
      await createProgram().parseAsync(['node', 'maru', 'policy', ...words]);
    } finally {
      write.mockRestore();
    }
    return out;
  };
  const check = async (user: string, ...more: string[]) =>
    await maru('check', '--user', user, '--project', 'web', '--action', 'compute:servers:create', ...more);

  it('lists what is looked for, by name and by what it governs', async () => {
    expect(await maru('list', 'servers:reboot')).toMatch(
      /NAME +FROM +RULE\nos_compute_api:servers:reboot +default +rule:project_member_or_admin\n$/,
    );
    expect(await maru('list', 'act on a server: os-start')).toContain('os_compute_api:servers:start');
    expect(await maru('list', '--overridden')).toContain('(none)');
    expect(await maru('show', 'compute:servers:create')).toContain('POST /compute/v2.1/servers');
  });

  it('tries, sets, tries again, exports, removes and imports', async () => {
    expect(await check('web-member')).toContain('allowed: yes');
    expect(process.exitCode).toBeUndefined();
    const tried = await check('web-member', '--rule', 'rule:project_manager');
    expect(tried).toContain('✗ role:manager  (the user has roles member, reader)');
    expect(tried).toContain('✓ project_id:%(project_id)s');
    expect(process.exitCode).toBe(1);

    expect(await maru('set', 'compute:servers:create', 'rule:project_manager_or_admin')).toContain(
      'database',
    );
    expect(await check('web-member')).toContain('allowed: no');
    expect(await maru('list', '--overridden')).toContain('rule:project_manager_or_admin');
    const file = join(directory, 'policy.yaml');
    writeFileSync(file, await maru('export'));
    expect(parse(readFileSync(file, 'utf8'))).toEqual({
      'os_compute_api:servers:create': 'rule:project_manager_or_admin',
    });
    await maru('unset', 'compute:servers:create');
    expect(await check('web-member')).toContain('allowed: yes');
    expect(await check('web-member', '--file', file)).toContain('allowed: no');
    expect(await maru('import', file)).toMatch(/servers:create +- +rule:project_manager_or_admin/);
    expect(await check('web-member')).toContain('allowed: no');
    writeFileSync(file, '{}\n');
    await maru('import', '--replace', file);
    expect(await check('web-member')).toContain('allowed: yes');
  });

  it('notes roles that do not exist where rules ask for them, beside what it prints', async () => {
    const errors = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const noted = () => errors.mock.calls.splice(0).map(([text]) => String(text));
    try {
      await maru('set', 'compute:servers:create', 'role:membre or role:Admin');
      expect(noted()).toEqual(["maru: note: no role is named 'membre'; did you mean 'member'?\n"]);
      const file = join(directory, 'roles.yaml');
      writeFileSync(file, '"os_compute_api:servers:create": "role:nobody_has and role:%(name)s"\n');
      await maru('import', file);
      expect(noted()).toEqual([expect.stringContaining("no role is named 'nobody_has'")]);
      await maru('set', 'compute:servers:create', "role:'member'");
      expect(noted()).toEqual([]);
    } finally {
      errors.mockRestore();
      await maru('unset', 'compute:servers:create');
    }
  });

  it('ends with another exit code than that of "no" when a question cannot be answered', async () => {
    for (const words of [
      ['--user', 'nobody', '--action', 'compute:servers:create'],
      ['--user', 'web-member', '--action', 'compute:servers:crate'],
      ['--user', 'web-member', '--action', 'context_is_admin', '--target', 'nonsense'],
      ['--user', 'web-member', '--action', 'context_is_admin', '--file', join(directory, 'none.yaml')],
    ]) {
      await expect(maru('check', ...words), words.join(' ')).rejects.toMatchObject({ exitCode: 2 });
    }
    vi.stubEnv('OS_AUTH_URL', 'http://127.0.0.1:9/identity/v3');
    await expect(check('web-member')).rejects.toMatchObject({ exitCode: 2 });
    vi.stubEnv('OS_AUTH_URL', url);
  });

  it('says what is wrong', async () => {
    await expect(maru('set', 'compute:servers:crate', '@')).rejects.toThrow(
      "did you mean 'os_compute_api:servers:create'?",
    );
    await expect(maru('set', 'compute:servers:create', 'role:a or')).rejects.toThrow('character 10');
    await expect(maru('set', 'context_is_admin', '!')).rejects.toThrow('lock you out');
    await expect(maru('import', join(directory, 'none.yaml'))).rejects.toThrow(
      /none\.yaml cannot be read: there is no such file$/,
    );
    await expect(maru('import', directory)).rejects.toThrow(`${directory} cannot be read: it is a directory`);
    await expect(check('web-member', '--target', 'nonsense')).rejects.toThrow('attribute=value');
  });
});
