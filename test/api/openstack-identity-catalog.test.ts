import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_PASSWORD, type TestApp } from '../support/app.js';
import { OpenStackShell, openListening, passwordSettings } from '../support/openstack-shell.js';

/** Regions, services, endpoints and their groups, policies and limits with the stock openstack command. */

let cloud: TestApp;
let endpoint: string;
let os: OpenStackShell;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'maru-openstack-'));
  ({ cloud, endpoint } = await openListening());
  os = OpenStackShell.start(
    passwordSettings(endpoint, { username: 'admin', password: ADMIN_PASSWORD, project: 'admin' }),
  );
});
afterAll(async () => {
  await os?.close();
  await cloud?.close();
  rmSync(directory, { recursive: true, force: true });
});

function file(name: string, content: unknown): string {
  const path = join(directory, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

describe('openstack catalog', () => {
  it('shows what is there', async () => {
    const listed = await os.get('catalog list');
    const identity = listed.find(({ Type }: { Type: string }) => Type === 'identity');
    expect(identity).toMatchObject({ Name: 'keystone' });
    const shown = await os.get('catalog show identity');
    expect(shown.endpoints).toContainEqual(
      expect.objectContaining({ interface: 'public', region: 'RegionOne', url: `${endpoint}/identity/v3` }),
    );
    expect(await os.say('catalog show nothing')).toContain('service nothing not found');
  });
});

describe('openstack region, service and endpoint', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    expect(await os.get('region create --description south R1')).toMatchObject({
      region: 'R1',
      description: 'south',
      parent_region: null,
    });
    expect(await os.get('region create --parent-region R1 R2')).toMatchObject({ parent_region: 'R1' });
    await os.run('region set --description north R2');
    expect(await os.get('region show R2')).toMatchObject({ description: 'north', parent_region: 'R1' });
    expect(await os.get('region list --parent-region R1')).toEqual([
      { Region: 'R2', 'Parent Region': 'R1', Description: 'north' },
    ]);
    expect(await os.say('region create R1')).toContain('HTTP 409');

    const service = await os.get('service create --name first --description serves dns');
    expect(service).toMatchObject({ name: 'first', type: 'dns', description: 'serves', enabled: true });
    await os.run('service set --name second --disable first');
    expect(await os.get('service show second')).toMatchObject({ id: service.id, enabled: false });
    await os.run('service set --enable second');
    expect(await os.get('service list')).toContainEqual({ ID: service.id, Name: 'second', Type: 'dns' });

    const made = await os.get('endpoint create --region R1 dns public http://127.0.0.1:9/%(project_id)s');
    expect(made).toMatchObject({
      interface: 'public',
      region: 'R1',
      region_id: 'R1',
      service_id: service.id,
      service_name: 'second',
      service_type: 'dns',
      enabled: true,
      url: 'http://127.0.0.1:9/%(project_id)s',
    });
    await os.run(`endpoint set --url http://127.0.0.1:9/v2 --disable ${made.id}`);
    expect(await os.get(`endpoint show ${made.id}`)).toMatchObject({
      url: 'http://127.0.0.1:9/v2',
      enabled: false,
    });
    expect(await os.get('endpoint list --service dns --interface public --region R1')).toEqual([
      expect.objectContaining({ ID: made.id, 'Service Type': 'dns', Enabled: false }),
    ]);
    expect(await os.say('region delete R1')).not.toBe('');
    await os.run(
      `endpoint delete ${made.id}`,
      'service delete second',
      'region delete R2',
      'region delete R1',
    );
    // `region show` falls back to a filter that Keystone ignores too, and would show the one region that is left
    expect(await os.get('region list')).toEqual([expect.objectContaining({ Region: 'RegionOne' })]);
    expect(await os.say('service show second')).toContain('No service with a type, name or ID of');
    expect(await os.get('endpoint list')).not.toContainEqual(expect.objectContaining({ ID: made.id }));
  });

  it('shows endpoints to some projects only', async () => {
    await os.get('service create --name some dns');
    const one = await os.get('endpoint create dns public http://127.0.0.1:9');
    const project = await os.get('project create chosen');
    await os.run(`endpoint add project ${one.id} chosen`);
    expect(await os.get(`endpoint list --project chosen`)).toContainEqual(
      expect.objectContaining({ ID: one.id }),
    );
    expect(await os.get(`endpoint list --endpoint ${one.id}`)).toEqual([
      expect.objectContaining({ ID: project.id, Name: 'chosen' }),
    ]);
    await os.run(`endpoint remove project ${one.id} chosen`);
    expect(await os.get(`endpoint list --endpoint ${one.id}`)).toEqual([]);
    await os.run(`endpoint delete ${one.id}`, 'service delete some', 'project delete chosen');
  });

  it('groups endpoints by what they are', async () => {
    const filters = file('filters.json', { interface: 'public', region_id: 'RegionOne' });
    const made = await os.get(`endpoint group create --description these eg1 ${filters}`);
    expect(made).toMatchObject({
      name: 'eg1',
      description: 'these',
      filters: { interface: 'public', region_id: 'RegionOne' },
    });
    const other = file('other.json', { interface: 'admin' });
    await os.run(`endpoint group set --name eg2 --description those --filters ${other} eg1`);
    expect(await os.get('endpoint group show eg2')).toMatchObject({
      id: made.id,
      filters: { interface: 'admin' },
    });
    const project = await os.get('project create grouped');
    await os.run('endpoint group add project eg2 grouped');
    expect(await os.get('endpoint group list --project grouped')).toEqual([
      { ID: made.id, Name: 'eg2', Description: 'those' },
    ]);
    expect(await os.get('endpoint group list --endpointgroup eg2')).toEqual([
      expect.objectContaining({ ID: project.id, Name: 'grouped' }),
    ]);
    await os.run(
      'endpoint group remove project eg2 grouped',
      'endpoint group delete eg2',
      'project delete grouped',
    );
    expect(await os.get('endpoint group list')).toEqual([]);
  });
});

describe('openstack policy', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    const made = await os.get(
      `policy create --type application/json ${file('rules.json', { default: '@' })}`,
    );
    expect(made).toMatchObject({ type: 'application/json', rules: JSON.stringify({ default: '@' }) });
    await os.run(`policy set --rules ${file('more.json', { default: '!' })} ${made.id}`);
    expect(await os.get(`policy show ${made.id}`)).toMatchObject({ rules: JSON.stringify({ default: '!' }) });
    expect(await os.get('policy list')).toEqual([{ ID: made.id, Type: 'application/json' }]);
    await os.run(`policy delete ${made.id}`);
    expect(await os.get('policy list')).toEqual([]);
  });
});

describe('openstack registered limit and limit', () => {
  it('creates, shows, lists, changes and deletes', async () => {
    const service = await os.get('service create --name metered metering');
    const project = await os.get('project create limited');
    const registered = await os.get(
      'registered limit create --service metered --region RegionOne --default-limit 10 --description most things',
    );
    expect(registered).toMatchObject({
      resource_name: 'things',
      default_limit: 10,
      description: 'most',
      service_id: service.id,
      region_id: 'RegionOne',
    });
    expect(
      await os.say('registered limit create --service metered --region RegionOne --default-limit 1 things'),
    ).toContain('HTTP 409');
    expect(await os.get(`registered limit set --default-limit 12 ${registered.id}`)).toMatchObject({
      default_limit: 12,
    });
    expect(await os.get(`registered limit show ${registered.id}`)).toMatchObject({ default_limit: 12 });
    expect(await os.get('registered limit list --resource-name things')).toEqual([
      {
        ID: registered.id,
        'Service ID': service.id,
        'Resource Name': 'things',
        'Default Limit': 12,
        Description: 'most',
        'Region ID': 'RegionOne',
      },
    ]);
    const made = await os.get(
      'limit create --project limited --service metered --region RegionOne --resource-limit 5 things',
    );
    expect(made).toMatchObject({ project_id: project.id, resource_name: 'things', resource_limit: 5 });
    expect(await os.get(`limit set --resource-limit 6 --description few ${made.id}`)).toMatchObject({
      resource_limit: 6,
    });
    expect(await os.get(`limit show ${made.id}`)).toMatchObject({ resource_limit: 6, description: 'few' });
    expect(await os.get('limit list --project limited')).toEqual([
      expect.objectContaining({ ID: made.id, 'Resource Limit': 6 }),
    ]);
    expect(await os.say(`registered limit delete ${registered.id}`)).not.toBe('');
    await os.run(`limit delete ${made.id}`, `registered limit delete ${registered.id}`);
    expect(await os.get('registered limit list')).toEqual([]);
    await os.run('project delete limited', 'service delete metered');
  });
});
