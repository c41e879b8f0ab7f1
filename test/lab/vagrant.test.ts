import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { machine } from '../support/machine.js';

/** The Vagrantfile as Vagrant itself reads it; no virtual machine is started, and nothing is fetched. */
const VAGRANT = fileURLToPath(new URL('../../vagrant', import.meta.url));
const PLUGIN = '/usr/share/rubygems-integration/all/gems';

describe('the Vagrantfile', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'maru-vagrant-'));
    await mkdir(`${directory}/project`);
    await copyFile(`${VAGRANT}/Vagrantfile`, `${directory}/project/Vagrantfile`);
    // Vagrant asks VirtualBox for its version before it reads options for it
    const stub = `#!/bin/sh\n[ "$1" = --version ] && echo 7.0.20r163906\n`;
    await mkdir(`${directory}/bin`);
    await writeFile(`${directory}/bin/VBoxManage`, stub, { mode: 0o755 });
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const vagrant = async (provider: string, settings: Record<string, string>, ...args: string[]) => {
    const env = {
      ...settings,
      PATH: `${directory}/bin:${process.env.PATH}`,
      VAGRANT_CWD: `${directory}/project`,
      VAGRANT_HOME: `${directory}/home`,
      VAGRANT_DEFAULT_PROVIDER: provider,
      VAGRANT_CHECKPOINT_DISABLE: '1',
      NO_PROXY: '*',
    };
    // a network namespace of its own, without even a loopback: whatever it wanted to fetch would fail
    const words = ['-n', 'vagrant', ...args];
    return await machine.run('unshare', words, { env, timeoutMs: 180_000, okCodes: [0, 1] });
  };

  for (const provider of ['libvirt', 'virtualbox']) {
    for (const count of ['1', '3']) {
      it(`is valid for ${provider} and ${count} machine(s)`, async () => {
        const valid = await vagrant(provider, { MARU_MACHINES: count }, 'validate');
        expect(valid.stderr).toBe('');
        expect(valid.stdout).toContain('Vagrantfile validated successfully');
        const names = Array.from({ length: Number(count) }, (_, i) => `node${i + 1}`);
        const { stdout } = await vagrant(provider, { MARU_MACHINES: count }, 'status', '--machine-readable');
        const told = stdout.split('\n').map((line) => line.split(','));
        const machines = told.filter((words) => words[2] === 'provider-name');
        expect(machines.map((words) => words[1])).toEqual(names);
        expect(new Set(machines.map((words) => words[3]))).toEqual(new Set([provider]));
      }, 400_000);
    }
  }

  it('refuses settings that make no sense, saying which', async () => {
    for (const [settings, said] of [
      [{ MARU_MACHINES: 'many' }, 'MARU_MACHINES=many: must be a number from 1 to 9'],
      [{ MARU_UPLINK: 'wifi' }, 'MARU_UPLINK=wifi: must be external or nat'],
      [{ MARU_NETWORK: '192.168.56.0/24' }, 'MARU_NETWORK=192.168.56.0/24: must be the first three numbers'],
    ] as const) {
      const { exitCode, stderr } = await vagrant('libvirt', settings, 'validate');
      expect(exitCode).toBe(1);
      expect(stderr).toContain(said);
    }
  }, 600_000);

  it('uses options of vagrant-libvirt that exist, which validation does not tell', async () => {
    const text = await readFile(`${VAGRANT}/Vagrantfile`, 'utf8');
    const [gem] = (await readdir(PLUGIN)).filter((name) => name.startsWith('vagrant-libvirt-'));
    const source = async (file: string) =>
      await readFile(`${PLUGIN}/${gem}/lib/vagrant-libvirt/${file}`, 'utf8');
    const config = await source('config.rb');
    const networks =
      (await source('action/create_networks.rb')) + (await source('action/create_network_interfaces.rb'));
    const options = [...text.matchAll(/\blibvirt__(\w+):/g)].map((match) => match[1]!);
    const settings = [...text.matchAll(/\blibvirt\.(\w+) = /g)].map((match) => match[1]!);
    expect(options.length).toBeGreaterThan(2);
    expect(settings).toContain('nested');
    for (const option of options) expect(networks, option).toMatch(new RegExp(`\\[:${option}\\]`));
    for (const setting of settings)
      expect(config, setting).toMatch(new RegExp(`attr_accessor :${setting}\\b`));
  });

  it('names provisioning scripts that are there, and shellcheck has nothing to say of them', async () => {
    const text = await readFile(`${VAGRANT}/Vagrantfile`, 'utf8');
    const scripts = (await readdir(`${VAGRANT}/provision`)).filter((name) => name !== 'lib.sh');
    const named = [...text.matchAll(/%w\[((?:network|install)[^\]]*)\]/g)].flatMap((match) =>
      match[1]!.split(' '),
    );
    expect(new Set([...named, 'demo'].map((name) => `${name}.sh`))).toEqual(new Set(scripts));
    const paths = [...scripts, 'lib.sh'].map((name) => `${VAGRANT}/provision/${name}`);
    const { stdout } = await machine.run('shellcheck', ['-x', ...paths], { okCodes: [0, 1] });
    expect(stdout).toBe('');
  });
});
