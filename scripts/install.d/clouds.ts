import { parseDocument } from 'yaml';
import { type Action, ensureFile, machine } from './actions.js';
import { CLOUDS } from './layout.js';
import type { Step } from './run-steps.js';
import { configured, documentOf, readSettings } from './settings.js';
import { FILES, isOwnCertificate } from './tls-files.js';

/** The administrator's entry `maru` in /etc/openstack/clouds.yaml (0600, root): for maru and for the openstack command. */
export function cloudsStep(): Step {
  return {
    name: 'credentials',
    async look(): Promise<Action[]> {
      const file = (await readSettings()).controller.admin_password_file;
      const password = await machine.readFileIfExists(file);
      if (password === null) {
        // a dry run on a new machine comes here; after a start of the controller the file is there
        return [
          {
            do: 'call',
            say: `write the administrator's credentials to ${CLOUDS} (0600)`,
            call: () => missing(file),
          },
        ];
      }
      const before = await machine.readFileIfExists(CLOUDS);
      const content = withCloud(before, {
        region_name: String((await configured('controller', 'region')) ?? 'RegionOne'),
        identity_api_version: 3,
        ...((await usesOwnAuthority()) ? { cacert: FILES.ca } : {}),
        auth: {
          auth_url: `${String(await configured('controller', 'public_url'))}/identity/v3`,
          username: 'admin',
          password: password.trim(),
          project_name: 'admin',
          user_domain_name: 'Default',
          project_domain_name: 'Default',
        },
      });
      return await ensureFile({ path: CLOUDS, content, mode: 0o600, secret: true });
    },
  };
}

/** Takes the entry away; and the file, when nothing else is in it. */
export async function withoutCredentials(): Promise<Action[]> {
  const before = await machine.readFileIfExists(CLOUDS);
  if (before === null) return [];
  const document = parseDocument(before);
  if (!document.deleteIn(['clouds', 'maru'])) return [];
  const { clouds, ...others } = document.toJSON() as { clouds?: object };
  if (Object.keys(clouds ?? {}).length + Object.keys(others).length === 0)
    return [{ do: 'remove', path: CLOUDS }];
  return [
    { do: 'write', path: CLOUDS, content: document.toString({ lineWidth: 0 }), mode: 0o600, secret: true },
  ];
}

/** True when clients have to be told whom to trust. */
async function usesOwnAuthority(): Promise<boolean> {
  const file = await configured('controller', 'tls_cert_file');
  const ours = file === FILES.certificate || (typeof file === 'string' && (await isOwnCertificate(file)));
  return ours && (await machine.stat(FILES.ca)) !== null;
}

/** The file's text with the cloud in it; a password that the operator has changed there stays. */
function withCloud(
  before: string | null,
  cloud: { auth: Record<string, string> } & Record<string, unknown>,
): string {
  const document = documentOf(CLOUDS, before ?? 'clouds: {}\n');
  const known = document.getIn(['clouds', 'maru', 'auth', 'password']);
  const auth = { ...cloud.auth, ...(typeof known === 'string' ? { password: known } : {}) };
  const wanted = { ...cloud, auth };
  const found = document.getIn(['clouds', 'maru']) as { toJSON?(): unknown } | undefined;
  if (before !== null && JSON.stringify(found?.toJSON?.()) === JSON.stringify(wanted)) return before;
  document.setIn(['clouds', 'maru'], document.createNode(wanted));
  const clouds = document.get('clouds') as { flow?: boolean };
  clouds.flow = false;
  return document.toString({ lineWidth: 0 });
}

async function missing(file: string): Promise<void> {
  throw new Error(`${file} is not there: the controller writes it when it first starts`);
}
