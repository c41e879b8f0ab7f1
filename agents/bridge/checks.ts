import type { Host } from '../host/host.js';
import { MAIN_TABLE } from './ip-json.js';
import { BridgeRefusal } from './manager.js';
import type { Family, Snapshot } from './model.js';

/** Something that has to answer through one device. */
export interface Check {
  readonly kind: 'gateway' | 'controller' | 'peer';
  /** An address, or the controller's URL. */
  readonly target: string;
}

export interface CheckResult extends Check {
  readonly ok: boolean;
  readonly detail: string;
}

/** What is to be asked: the default gateways of the main table, and what the operator named. */
export function checksFor(
  snapshot: Snapshot,
  options: { readonly controller?: string; readonly peers: readonly string[] },
): readonly Check[] {
  const gateways = snapshot.routes
    .filter((route) => route.table === MAIN_TABLE && route.destination === 'default')
    .flatMap((route) => route.nextHops)
    .filter((hop) => hop.dev === snapshot.device)
    .flatMap((hop) => hop.gateway ?? hop.via ?? []);
  return [
    ...[...new Set(gateways)].map((target) => ({ kind: 'gateway', target }) as const),
    ...options.peers.map((target) => ({ kind: 'peer', target }) as const),
    ...(options.controller ? [{ kind: 'controller', target: options.controller } as const] : []),
  ];
}

/**
 * Runs the checks bound to a device, all at once; each takes at most three seconds. Unbound ones would also succeed over
 * another device and so confirm the wrong one.
 */
export function runChecks(
  host: Host,
  device: string,
  checks: readonly Check[],
): Promise<readonly CheckResult[]> {
  return Promise.all(
    checks.map(async (check) => ({
      ...check,
      ...(check.kind === 'controller'
        ? await connects(host, device, check.target)
        : await answers(host, device, check.target, check.kind === 'gateway')),
    })),
  );
}

/**
 * What answers before the change and so has to answer after it. Throws a BridgeRefusal when what the operator named does
 * not answer now, or nothing would be left to tell success from failure.
 */
export function baseline(
  device: string,
  results: readonly CheckResult[],
  needed: boolean,
): { readonly checks: readonly Check[]; readonly warnings: readonly string[] } {
  const silent = results.filter(({ ok }) => !ok);
  const named = silent.find(({ kind }) => kind !== 'gateway');
  if (named)
    throw new BridgeRefusal(
      `${named.kind} ${named.target} does not answer through ${device} now, before any change: ${named.detail}`,
      `is ${device} the right NIC? ip route get ${/^[\d.]+$|:.*:/.test(named.target) ? named.target : 'ADDRESS'} says which one is used`,
    );
  if (needed && results.every(({ ok }) => !ok))
    throw new BridgeRefusal(
      silent.length
        ? `no gateway answers through ${device} now (${silent.map(({ target, detail }) => `${target}: ${detail}`).join('; ')}), so nothing could tell whether the change worked`
        : `no default route goes through ${device}, so nothing could tell whether the change worked`,
      'name a machine that answers there with --peer ADDRESS, or confirm by hand: --wait-confirm',
    );
  return {
    checks: results.filter(({ ok }) => ok).map(({ kind, target }) => ({ kind, target })),
    warnings: silent.map(
      ({ target }) => `gateway ${target} does not answer now, so it is not checked afterwards`,
    ),
  };
}

/** A ping; a gateway that answers no pings has to answer when asked for its MAC. */
async function answers(
  host: Host,
  device: string,
  address: string,
  macIsEnough: boolean,
): Promise<{ ok: boolean; detail: string }> {
  const ping = await attempt(host, 'ping', ['-n', '-q', '-c', '1', '-W', '1', '-I', device, address]);
  if (ping.exitCode === 0) return { ok: true, detail: 'answers' };
  if (!macIsEnough) return { ok: false, detail: ping.said || 'no answer to a ping' };
  const family: Family = address.includes(':') ? 6 : 4;
  const neigh = [`-${family}`, 'neigh'];
  // a known MAC is asked for again: what was copied or is old proves nothing
  await attempt(host, 'ip', [...neigh, 'change', address, 'dev', device, 'nud', 'probe']);
  await attempt(host, 'ping', ['-n', '-q', '-c', '1', '-W', '1', '-I', device, address]);
  const { stdout } = await attempt(host, 'ip', ['-j', ...neigh, 'show', 'to', address, 'dev', device]);
  return /"REACHABLE"/.test(stdout)
    ? { ok: true, detail: 'answers no ping, but when asked for its MAC' }
    : { ok: false, detail: ping.said || 'answers neither a ping nor when asked for its MAC' };
}

/** A TCP connection; what is said over it does not matter here. */
async function connects(host: Host, device: string, url: string): Promise<{ ok: boolean; detail: string }> {
  const bound = ['--interface', `if!${device}`, '--noproxy', '*', '-k', '-s', '-S', '-o', '/dev/null'];
  const limits = ['--connect-timeout', '2', '-m', '3', '-w', '%{time_connect}'];
  const { exitCode, stdout, said } = await attempt(host, 'curl', [...bound, ...limits, url]);
  if (exitCode === 127) return { ok: false, detail: 'curl is not installed' };
  return Number(stdout.trim()) > 0
    ? { ok: true, detail: 'accepts connections' }
    : { ok: false, detail: said || `curl ended with exit code ${exitCode}` };
}

async function attempt(host: Host, command: string, args: readonly string[]) {
  const okCodes = Array.from({ length: 256 }, (_, code) => code);
  return host.read(command, args, { okCodes, timeoutMs: 5000 }).then(
    ({ exitCode, stdout, stderr }) => ({
      exitCode,
      stdout,
      said: stderr.trim().split('\n').at(-1) ?? '',
    }),
    (error: Error) => ({ exitCode: 127, stdout: '', said: error.message }),
  );
}
