import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { adminService } from '../../src/api/admin/service.js';
import { computeService } from '../../src/api/compute/service.js';
import { commandFacts } from '../../src/cli/command-facts.js';
import { createProgram } from '../../src/cli/program.js';
import { ADMIN_PASSWORD, type TestApp } from '../support/app.js';
import { OpenStackShell, openListening, passwordSettings } from '../support/openstack-shell.js';
import { makeServerRow } from '../support/server-row.js';

/** The commands by which the README makes a role of one's own. */
const RECIPE = /^```sh\n(openstack role create operator\n[\s\S]*?)^```$/m
  .exec(readFileSync(new URL('../../README.md', import.meta.url), 'utf8'))![1]!
  .trimEnd()
  .split('\n');

describe('a role of your own', () => {
  let cloud: TestApp;
  let os: OpenStackShell;

  beforeAll(async () => {
    const services = [({ config }: TestApp['app']) => computeService(config), () => adminService()];
    const opened = await openListening({ services });
    cloud = opened.cloud;
    const settings = passwordSettings(opened.endpoint, {
      username: 'admin',
      password: ADMIN_PASSWORD,
      project: 'admin',
    });
    os = OpenStackShell.start(settings);
    vi.stubEnv('OS_CLOUD', undefined);
    for (const [name, value] of Object.entries(settings)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    process.exitCode = undefined;
    vi.unstubAllEnvs();
    await os?.close();
    await cloud?.close();
  });

  it('is made by the commands of the README, which maru policy --help shows too', async () => {
    const { examples } = commandFacts(createProgram()).find(
      ({ words }) => words.join(' ') === 'maru policy',
    )!;
    expect(
      examples
        .join('\n')
        .replaceAll(/\\\n\s*/g, '')
        .split('\n'),
    ).toEqual(RECIPE);

    const web = await cloud.projectUser('web');
    const body = { user: { name: 'anna' } };
    const anna = (
      await cloud.request('POST', '/identity/v3/users', { token: await cloud.adminToken(), body })
    ).json.user.id;
    const said = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    try {
      for (const line of RECIPE) {
        if (line.startsWith('openstack ')) {
          expect(await os.say(line.slice('openstack '.length)), line).not.toMatch(/HTTP|usage|error/i);
        } else {
          const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
          await createProgram().parseAsync(['node', ...words]);
        }
      }
      expect(said.mock.calls.join('')).toContain('allowed: yes');
    } finally {
      said.mockRestore();
    }
    expect(process.exitCode).toBeUndefined();

    const token = (await cloud.app.identity.tokens.issue({
      userId: anna,
      methods: ['password'],
      scope: { kind: 'project', id: web.projectId },
    }))!.text;
    const act = async (server: string, action: unknown) =>
      (
        await cloud.request('POST', `/compute/v2.1/servers/${server}/action`, {
          token,
          body: action,
        })
      ).status;
    const own = await makeServerRow(cloud.app, web);
    const other = await makeServerRow(cloud.app, await cloud.projectUser('elsewhere'));
    expect((await cloud.request('GET', `/compute/v2.1/servers/${own}`, { token })).status).toBe(200);
    // let in: 409 says only that this server is on no host
    expect(await act(own, { reboot: { type: 'SOFT' } })).toBe(409);
    expect(await act(other, { reboot: { type: 'SOFT' } })).toBe(404);
    expect(await act(own, { 'os-stop': null })).toBe(403);
  });
});
