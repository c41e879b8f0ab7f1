import { ensureDemoUser, ensureImage, ensurePublicNetwork, flavorNamed, type Outside } from './base.js';
import { ApiError, type Cloud } from './cloud.js';
import { machine } from './commands.js';
import {
  type DemoFiles,
  ensureFloatingIp,
  ensureKeyPair,
  ensureSecurityGroup,
  ensureServer,
  ensureTenantNetwork,
  explainServer,
  reachFromOutside,
  sshArguments,
} from './demo.js';
import { list, type Named } from './resources.js';
import type { Step } from './up.js';

export interface DemoRequest {
  readonly admin: Cloud;
  /** Null: the external network is there already. */
  readonly outside: Outside | null;
  /** File of the image `demo`; null: one of this name is there already. */
  readonly image: string | null;
  /** Who logs in to the image's guests; null: nobody tries. */
  readonly sshUser: string | null;
  /** Where key, password and clouds.yaml are kept. */
  readonly directory: string;
  /** False: networks and image only. */
  readonly server: boolean;
}

export interface DemoResult {
  readonly files: DemoFiles;
  readonly server: string | null;
  readonly floating_ip: string | null;
  /** The ssh command for the guest. */
  readonly ssh: string | null;
}

const IMAGE = 'demo';
const PUBLIC = 'public';

/**
 * Makes of any cloud, through its public APIs alone, what a first visitor wants: external network, image, a project with a network
 * behind a router, and a server with a floating IP that answers ping and ssh from here. What exists is found again.
 */
export async function cloudDemo(request: DemoRequest, step: Step): Promise<DemoResult> {
  const { admin, outside, image, sshUser } = request;
  await machine.makeDirectory(request.directory, 0o700);
  const files = demoFiles(request.directory);
  const external = await step(`external network "${PUBLIC}"`, async () =>
    outside ? await ensurePublicNetwork(admin, outside) : await existing(admin),
  );
  const uploaded = await step(`image "${IMAGE}"`, async () =>
    image ? await ensureImage(admin, IMAGE, image) : await existingImage(admin),
  );
  const demo = await step('project and user "demo"', () =>
    ensureDemoUser(files, admin).catch((error: Error) => {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      throw new Error(
        `there is a user "demo" already, and its password is not in ${files.demoPassword}: name the directory of the first time with --files, or delete that user`,
      );
    }),
  );
  const network = await step('network, subnet and router', () => ensureTenantNetwork(demo, external.id));
  const group = await step('security group: ping and ssh', () => ensureSecurityGroup(demo));
  if (!request.server) return { files, server: null, floating_ip: null, ssh: null };
  try {
    const key = await step('key pair', () => ensureKeyPair(files, demo));
    const flavor = await flavorNamed(demo, 'm1.tiny');
    const parts = { image: uploaded, flavor, network, group, key };
    const server = await step('server "demo" (m1.tiny)', () => ensureServer(demo, parts));
    const address = await step('floating IP', () => ensureFloatingIp(demo, external.id, server.id));
    if (sshUser) {
      await step(`ping and ssh ${address}`, () => reachFromOutside({}, files, address, sshUser));
    }
    const ssh = sshUser ? ['ssh', ...sshArguments(files, address, sshUser)].join(' ') : null;
    return { files, server: server.id, floating_ip: address, ssh };
  } catch (error) {
    const why = await explainServer(demo, admin).catch((failure: Error) => failure.message);
    throw new Error(`${(error as Error).message}\n\n${why}`);
  }
}

/** Paths of the files that the demo keeps. */
export function demoFiles(directory: string): DemoFiles {
  return {
    demoKey: `${directory}/demo_key`,
    demoPassword: `${directory}/demo-password`,
    clouds: `${directory}/clouds.yaml`,
  };
}

async function existing(admin: Cloud): Promise<Named> {
  const networks = await list(admin, 'network', { name: PUBLIC, 'router:external': 'true' });
  if (networks[0]) return networks[0];
  throw new Error(
    `there is no external network "${PUBLIC}" yet: say what is outside with --cidr, --gateway and --pool`,
  );
}

async function existingImage(admin: Cloud): Promise<Named> {
  const { images } = await admin.call<{ images: Named[] }>(
    'image',
    'GET',
    `/v2/images?name=${IMAGE}&status=active`,
  );
  if (images[0]) return images[0];
  throw new Error(`there is no image "${IMAGE}" yet: name a qcow2 file with --image`);
}
