import type { Cloud } from './cloud.js';
import { machine } from './commands.js';
import { create, list } from './resources.js';

/** How one Tempest test ended; `said` is Tempest's output about it when it did not pass. */
export interface TempestResult {
  readonly id: string;
  readonly state: 'passed' | 'failed' | 'skipped' | 'missing';
  readonly said: string;
}

export interface TempestRun {
  /** Where workspace, configuration and output go; made if it does not exist. */
  readonly directory: string;
  readonly adminPassword: string;
  readonly imageName: string;
  readonly ids: readonly string[];
  readonly timeoutMs: number;
}

/** Runs tests of the installed Tempest against a cloud and gives each one's end, in the order of the ids. */
export async function runTempest(admin: Cloud, run: TempestRun): Promise<TempestResult[]> {
  const workspace = `${run.directory}/workspace`;
  await machine.removeTree(run.directory);
  await machine.makeDirectory(run.directory, 0o700);
  const workspaces = `${run.directory}/workspaces.yaml`;
  await tempest(run.directory, ['init', '--workspace-path', workspaces, '--name', 'run', workspace], 300_000);
  await machine.writeFile(`${workspace}/etc/tempest.conf`, await configuration(admin, run, workspace), 0o600);

  const listed = await inWorkspace(workspace, ['run', '--list-tests'], 600_000);
  const known = new Map(
    listed
      .split('\n')
      .filter((line) => line.startsWith('tempest.'))
      .map((line) => [bare(line), line.trim()]),
  );
  const selection = `${run.directory}/selection.txt`;
  const chosen = run.ids.flatMap((id) => known.get(id) ?? []);
  if (chosen.length === 0)
    throw new Error(`Tempest knows none of the ${run.ids.length} tests; it listed ${known.size}`);
  await machine.writeFile(selection, `${chosen.join('\n')}\n`, 0o644);
  const output = await inWorkspace(
    workspace,
    ['run', '--load-list', selection, '--concurrency', '2'],
    run.timeoutMs,
  );
  await machine.writeFile(`${run.directory}/output.txt`, output, 0o644);
  return run.ids.map((id) => resultOf(id, output));
}

/** From Tempest's text output: `{0} test.id [1.2s] ... ok`, and the traceback of a failure under its id. */
export function resultOf(id: string, output: string): TempestResult {
  const lines = output.split('\n');
  const ended = lines.find(
    (line) => line.startsWith('{') && bare(line.replace(/^\{\d+\} /, '')) === id && line.includes(' ... '),
  );
  const state = ended?.split(' ... ')[1] ?? '';
  if (state.startsWith('ok')) return { id, state: 'passed', said: '' };
  if (state.startsWith('SKIPPED')) return { id, state: 'skipped', said: state };
  const testClass = id.slice(0, id.lastIndexOf('.'));
  // a class whose preparation failed or was skipped has no lines of its tests
  const prepared = lines.find((line) => line.includes(`setUpClass (${testClass})`) && line.includes(' ... '));
  if (!ended && prepared?.includes('SKIPPED')) return { id, state: 'skipped', said: prepared };
  const from = lines.findIndex(
    (line) => /^(tempest\.|setUpClass)/.test(line) && (bare(line) === id || line.includes(`(${testClass})`)),
  );
  const said = from < 0 ? (ended ?? prepared ?? 'no result') : lines.slice(from, from + 60).join('\n');
  return { id, state: ended || prepared ? 'failed' : 'missing', said };
}

const TEMPEST_ENV = { PYTHONWARNINGS: 'ignore', no_proxy: '*', NO_PROXY: '*' };

async function inWorkspace(workspace: string, args: readonly string[], timeoutMs: number): Promise<string> {
  const { stdout, stderr } = await tempest(workspace, args, timeoutMs, [0, 1]);
  if (!stdout.trim()) throw new Error(`tempest ${args.join(' ')}: ${stderr.trim().slice(-1500)}`);
  return stdout;
}

/** Tempest works, and leaves its log, in the current directory; ours must stay where it is. */
function tempest(
  directory: string,
  args: readonly string[],
  timeoutMs: number,
  okCodes: readonly number[] = [0],
) {
  const command = ['--chdir', directory, 'tempest', ...args];
  return machine.run('env', command, { timeoutMs, okCodes, env: TEMPEST_ENV });
}

/** The test's id without its tags. */
function bare(line: string): string {
  return line.trim().split(/[[ ]/)[0] ?? '';
}

/** tempest.conf for what this cloud offers. Makes two flavors that are small, and as large as the image needs. */
async function configuration(admin: Cloud, run: TempestRun, workspace: string): Promise<string> {
  const { images } = await admin.call<{ images: { id: string }[] }>(
    'image',
    'GET',
    `/v2/images?name=${run.imageName}`,
  );
  const [external] = await list(admin, 'network', { 'router:external': 'True' });
  const { extensions } = await admin.call<{ extensions: { alias: string }[] }>(
    'network',
    'GET',
    '/v2.0/extensions',
  );
  const image = images[0]?.id ?? '';
  const sections: Record<string, Record<string, string | number | boolean>> = {
    DEFAULT: { log_file: 'tempest.log', log_dir: `${workspace}/logs`, use_stderr: false },
    oslo_concurrency: { lock_path: `${workspace}/locks` },
    auth: {
      use_dynamic_credentials: true,
      create_isolated_networks: true,
      admin_username: 'admin',
      admin_password: run.adminPassword,
      admin_project_name: 'admin',
      admin_domain_name: 'Default',
      tempest_roles: 'member',
    },
    identity: {
      auth_version: 'v3',
      uri_v3: `${admin.endpoint}/identity/v3`,
      region: 'RegionOne',
      default_domain_id: 'default',
    },
    'identity-feature-enabled': { api_v2: false, api_v3: true, security_compliance: false },
    service_available: {
      nova: true,
      neutron: true,
      glance: true,
      cinder: true,
      swift: false,
      horizon: false,
    },
    compute: {
      image_ref: image,
      image_ref_alt: image,
      flavor_ref: await flavor(admin, 'tempest-1', 128),
      flavor_ref_alt: await flavor(admin, 'tempest-2', 192),
      build_timeout: 600,
      build_interval: 1,
      fixed_network_name: '',
      max_microversion: 'latest',
    },
    'compute-feature-enabled': {
      console_output: true,
      vnc_console: false,
      config_drive: true,
      resize: false,
    },
    network: {
      public_network_id: external?.id ?? '',
      floating_network_name: external?.name ?? '',
      project_network_cidr: '10.100.0.0/16',
      project_network_mask_bits: 28,
    },
    'network-feature-enabled': { api_extensions: extensions.map(({ alias }) => alias).join(','), ipv6: true },
    'image-feature-enabled': { api_v2: true, import_image: false },
    volume: {
      build_timeout: 600,
      build_interval: 1,
      max_microversion: 'latest',
      volume_size: 1,
      catalog_type: 'volumev3',
    },
    'volume-feature-enabled': { backup: false },
    validation: { run_validation: false },
  };
  return Object.entries(sections)
    .map(([name, values]) =>
      [`[${name}]`, ...Object.entries(values).map(([key, value]) => `${key} = ${value}`), ''].join('\n'),
    )
    .join('\n');
}

async function flavor(admin: Cloud, name: string, ram: number): Promise<string> {
  const found = (await list(admin, 'flavor')).find((one) => one.name === name);
  if (found) return found.id;
  return (await create(admin, 'flavor', { name, ram, vcpus: 1, disk: 1 })).id;
}
