import { splitAddress } from '../src/net/listen-address.js';
import { agentUrl, certificateAddresses } from './addresses.js';
import { loadAgentConfig } from './config.js';
import { RealHost } from './host/real.js';
import { isFromToken, join, loadIdentity } from './transport/identity.js';

/**
 * Lets this host join and ends: for installers, which want to know at once whether the token is good. The agent itself then needs
 * none. Gives the host's id; throws what the controller says, or that it cannot be reached.
 */
export async function joinOnly(configFile: string, token: string | undefined): Promise<string> {
  if (!token) throw new Error('which token? give --join, or MARU_JOIN_TOKEN in the environment');
  const config = loadAgentConfig(configFile);
  const files = new RealHost();
  await files.makeDirectory(config.state_dir, 0o711);
  const known = await loadIdentity(files, config.state_dir, config.controller);
  if (known && known.name === config.name && isFromToken(known, token)) return known.host_id;
  const identity = await join(files, config.state_dir, token, {
    name: config.name,
    controller: config.controller,
    agentUrl: agentUrl(config, splitAddress(config.listen).port),
    addresses: certificateAddresses(config),
    underlayIp: config.underlay_ip,
  });
  return identity.host_id;
}
