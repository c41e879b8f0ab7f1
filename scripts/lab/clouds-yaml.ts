import { stringify } from 'yaml';
import type { Credentials } from './cloud.js';
import { machine } from './commands.js';

/** Writes clouds.yaml (0600) with one entry for each pair of a name and credentials; `cacert`: a file of who is trusted. */
export async function writeClouds(
  file: string,
  { endpoint, cacert }: { readonly endpoint: string; readonly cacert?: string | null },
  clouds: Readonly<Record<string, Credentials>>,
): Promise<void> {
  const entries = Object.entries(clouds).map(([name, { username, password, project }]) => [
    name,
    {
      region_name: 'RegionOne',
      identity_api_version: 3,
      ...(cacert ? { cacert } : {}),
      auth: {
        auth_url: `${endpoint}/identity/v3`,
        username,
        password,
        project_name: project,
        user_domain_name: 'Default',
        project_domain_name: 'Default',
      },
    },
  ]);
  await machine.writeFile(file, stringify({ clouds: Object.fromEntries(entries) }), 0o600);
}
