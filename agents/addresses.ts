import { isIP } from 'node:net';
import { splitAddress } from '../src/net/listen-address.js';
import type { AgentConfig } from './config.js';

/** How the controller reaches this agent. */
export function agentUrl(config: AgentConfig, port: number): string {
  const { host } = splitAddress(config.listen);
  const reachable = host === '0.0.0.0' || host === '::' ? config.underlay_ip : host;
  return `https://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** Addresses that the agent's certificate names. */
export function certificateAddresses(config: AgentConfig): string[] {
  const { host } = splitAddress(config.listen);
  return [...new Set([config.underlay_ip, host])].filter(
    (address) => isIP(address) && address !== '0.0.0.0' && address !== '::',
  );
}
