import { stringify } from 'yaml';
import type { Cloud, Credentials } from './cloud.js';
import { machine } from './commands.js';

/** Writes clouds.yaml (0600) with one entry for each pair of a name and credentials. */
export async function writeClouds(
  file: string,
  { endpoint }: Pick<Cloud, 'endpoint'>,
  clouds: Readonly<Record<string, Credentials>>,
): Promise<void> {
  const entries = Object.entries(clouds).map(([name, { username, password, project }]) => [
    name,
    {
      region_name: 'RegionOne',
      identity_api_version: 3,
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
