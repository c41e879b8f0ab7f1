import { parseArgs } from 'node:util';
import { ensureDemoUser, ensureImage, ensurePublicNetwork, flavorNamed, tinyImage } from './base.js';
import type { Cloud } from './cloud.js';
import {
  ensureFloatingIp,
  ensureKeyPair,
  ensureSecurityGroup,
  ensureServer,
  ensureTenantNetwork,
  explainServer,
  reachFromOutside,
} from './demo.js';
import { labDown } from './down.js';
import { DEFAULT_LAB, type LabNames, labFiles, labNames } from './names.js';
import { intended } from './settings.js';
import { printStep } from './steps.js';
import { labUp, locked } from './up.js';

/** What scripts/quickstart runs once packages and build are there. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      hosts: { type: 'string' },
      'api-port': { type: 'string' },
      name: { type: 'string', default: DEFAULT_LAB },
      'no-demo': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      down: { type: 'boolean', default: false },
    },
  });
  const lab = labNames(values.name);
  if (values.down) {
    await printStep(`removing lab ${lab.name}`, () => locked(lab, () => labDown(lab)));
    return;
  }
  const started = performance.now();
  const asked = {
    ...(values.hosts ? { hosts: Number(values.hosts) } : {}),
    ...(values['api-port'] ? { apiPort: Number(values['api-port']) } : {}),
  };
  await intended(lab, asked);
  const image = await printStep('tiny guest image', () => tinyImage(lab));
  const { admin } = await labUp(lab, asked, printStep);
  const publicNetwork = await printStep('external network "public" on br-ex', () =>
    ensurePublicNetwork(admin),
  );
  const uploaded = await printStep('image "tiny"', () => ensureImage(admin, 'tiny', image.file));
  const demo = await printStep('project and user "demo"', () => ensureDemoUser(labFiles(lab), admin));
  const flavor = await flavorNamed(demo, 'm1.tiny');

  let floatingIp: string | null = null;
  let serverId: string | null = null;
  if (!values['no-demo']) {
    try {
      const network = await printStep('network, subnet and router', () =>
        ensureTenantNetwork(demo, publicNetwork.id),
      );
      const group = await printStep('security group: ping and ssh', () => ensureSecurityGroup(demo));
      const key = await printStep('key pair', () => ensureKeyPair(labFiles(lab), demo));
      const server = await printStep('server "demo" (m1.tiny)', () =>
        ensureServer(demo, { image: uploaded, flavor, network, group, key }),
      );
      serverId = server.id;
      const address = await printStep('floating IP', () =>
        ensureFloatingIp(demo, publicNetwork.id, server.id),
      );
      floatingIp = address;
      await printStep(`ping and ssh ${address} from outside`, () =>
        reachFromOutside({ netns: lab.outsideNs }, labFiles(lab), address, image.sshUser),
      );
    } catch (error) {
      await sayWhy(lab, demo, admin);
      throw error;
    }
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(`\nDone in ${seconds} s. ${usage(lab, admin.endpoint, image.sshUser, floatingIp)}`);
  if (values.json) {
    const files = labFiles(lab);
    const result = {
      lab: lab.name,
      endpoint: admin.endpoint,
      auth_url: `${admin.endpoint}/identity/v3`,
      clouds_file: files.clouds,
      clouds: ['maru', 'demo'],
      image_file: files.tinyImage,
      ssh_user: image.sshUser,
      ssh_key: values['no-demo'] ? null : files.demoKey,
      server: serverId,
      floating_ip: floatingIp,
      logs: files.logs,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

function usage(lab: LabNames, endpoint: string, sshUser: string, floatingIp: string | null): string {
  const files = labFiles(lab);
  const name = lab.name === DEFAULT_LAB ? '' : ` --name ${lab.name}`;
  const sudo = process.env.SUDO_UID ? 'sudo ' : '';
  const ssh = `ssh -i ${files.demoKey} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null ${sshUser}@${floatingIp}`;
  return `The cloud answers on ${endpoint}. Use it${sudo ? " (as root: its files are root's)" : ''}:

  export OS_CLIENT_CONFIG_FILE=${files.clouds}
  export OS_CLOUD=demo            # or maru, the administrator
  openstack server list
  openstack image list
  openstack network list
  openstack server create --image tiny --flavor m1.tiny --network private --key-name demo another
${
  floatingIp
    ? `
The guest, from the lab's outside world:
  ${sudo}./scripts/maru lab exec${name} outside -- ping -c 3 ${floatingIp}
  ${sudo}./scripts/maru lab exec${name} outside -- ${ssh}
`
    : ''
}
The operator's view:
  OS_CLOUD=maru ./scripts/maru status
  OS_CLOUD=maru ./scripts/maru host list
  ${sudo}./scripts/maru lab status${name}
  ${sudo}./scripts/maru lab exec${name} host1 -- virsh list

Logs: ${files.logs}    End it, without a trace: ./scripts/quickstart --down${name}
`;
}

async function sayWhy(lab: LabNames, demo: Cloud, admin: Cloud): Promise<void> {
  const why = await explainServer(demo, admin).catch((error: Error) => error.message);
  process.stderr.write(`\n${why}\n\nlogs: ${labFiles(lab).logs}\n`);
}

await main().catch((error: Error) => {
  process.stderr.write(`quickstart: ${error.message}\n`);
  process.exit(1);
});
process.exit(0);
