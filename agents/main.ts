import { splitAddress } from '../src/net/listen-address.js';
import { Reload } from '../src/protocol/config/reload.js';
import type { Logger } from '../src/protocol/log.js';
import { createProgramLog } from '../src/protocol/log-output.js';
import { type LogSource, NO_LOG } from '../src/protocol/log-source.js';
import { PeerUnreachable } from '../src/protocol/peer-client.js';
import { agentUrl, certificateAddresses } from './addresses.js';
import { Agent } from './agent.js';
import { composeParts } from './compose.js';
import { probeVirtualisation } from './compute/probe.js';
import { AGENT_SECTION, type AgentConfig, loadAgentConfig } from './config.js';
import { examineHost, shared } from './doctor/host.js';
import { gatherFacts, readBootId, readUsage } from './facts.js';
import type { Host } from './host/host.js';
import { withCommandLog } from './host/logged.js';
import { RealHost } from './host/real.js';
import { answerTrace } from './network/trace/answer.js';
import { ProviderNetworks } from './provider-networks.js';
import { SpecStore, type StateFiles } from './spec-store.js';
import { traceSources } from './trace-sources.js';
import { Controller } from './transport/controller.js';
import { type Identity, isFromToken, join, loadIdentity } from './transport/identity.js';

export interface RunOptions {
  /** Pretend: a machine in memory instead of this one. */
  readonly simulate?: boolean;
  /** One-time token for the first contact. */
  readonly join?: string;
  /** The machine, instead of this one or a new pretended one. */
  readonly host?: Host;
  /** Where the configuration came from, for messages. */
  readonly configFile?: string;
  /** Where what the agent logs can be read again. */
  readonly ownLog?: LogSource;
  /** Where the agent keeps its own files, instead of this machine's disk. */
  readonly files?: StateFiles;
}

/**
 * Runs a host's agent until the process is told to end (SIGTERM, SIGINT). Guests and network stay as they are then. SIGHUP reads the
 * configuration again.
 */
export async function runAgent(configFile: string, options: RunOptions = {}): Promise<void> {
  const config = loadAgentConfig(configFile);
  const readJournal = (command: string, args: readonly string[]) =>
    new RealHost().read(command, args, { okCodes: [0, 1] });
  const { log, source } = createProgramLog(config, { host: config.name }, readJournal);
  let reload: Reload<typeof AGENT_SECTION.keys> | null = null;
  // from the beginning: without a listener the signal would end the process
  process.on('SIGHUP', () => void reload?.request());
  const agent = await startAgent(config, { ...options, configFile, ownLog: source }, log);
  reload = new Reload({
    file: configFile,
    section: AGENT_SECTION,
    load: () => loadAgentConfig(configFile),
    live: config,
    log,
    apply: () => agent.reconfigured(),
  });
  const signal = await new Promise<string>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve(name));
  });
  log.info('agent ends', { signal });
  await agent.close();
}

/** Joins if need be, composes the parts on the real or a simulated host, and starts. */
export async function startAgent(config: AgentConfig, options: RunOptions, log: Logger): Promise<Agent> {
  const here = new RealHost();
  const files = options.files ?? here;
  await files.makeDirectory(config.state_dir, 0o711);
  // the environment too: an argument list can be read by every user of the machine
  const identity = await identify(
    files,
    config,
    (options.join ?? process.env.MARU_JOIN_TOKEN) || undefined,
    log,
  );
  const machine: Host = options.host ?? (options.simulate ? await simulatedHost(config) : here);
  const host = withCommandLog(machine, log);
  const bootId = await readBootId(host);
  const virtualisation = await probeVirtualisation({
    host,
    override: host.simulated ? 'qemu' : config.virt_type,
    stateDir: config.state_dir,
    bootId,
  });
  const shown = host.simulated ? SIMULATED : virtualisation;
  const controller = new Controller(identity);
  const parts = composeParts({
    host,
    config,
    virtType: virtualisation.type,
    bootId,
    fetchImage: (id) => controller.image(id),
    log,
  });
  const providers = new ProviderNetworks(host, config.physical_networks);
  const agent = new Agent({
    config,
    identity,
    controller,
    files,
    specs: new SpecStore(files, config.state_dir, () => config.max_removal_share),
    parts,
    bootId,
    facts: () => gatherFacts(host, config, shown, shown.warnings, providers),
    providerNetworks: () => providers.look(),
    usage: async () => await readUsage(host, config.state_dir, await parts.compute.runningGuests()),
    probe: (request) => parts.network.probe(request),
    trace: (request, known) => answerTrace(traceSources({ host, config, log }, parts, known), request),
    logs: (query) => (options.ownLog ?? NO_LOG).find(query),
    consoleOutput: (serverId, lines) => parts.compute.consoleOutput(serverId, lines),
    doctor: shared(() => examineHost(host, config, options.configFile ?? 'its configuration')),
    log,
  });
  const { port } = await agent.start();
  log.info('agent started', {
    url: agentUrl(config, port),
    controller: identity.controller,
    virt_type: shown.type,
    simulated: host.simulated,
  });
  return agent;
}

const SIMULATED = {
  type: 'fake',
  reason: 'simulated by maru agent --simulate',
  warnings: ['nothing on this host is real: it is simulated'],
} as const;

/** Simulated hosts are for tests of scale: a few of them hold thousands of servers. */
const SIMULATED_SIZE = { cpus: 256, memoryMb: 1_048_576 };

/** Loaded only for simulation: an agent of a real host does not carry the pretended one. */
async function simulatedHost(config: AgentConfig): Promise<Host> {
  const { createFakeHost } = await import('./host/fake.js');
  return createFakeHost({
    hostname: config.name,
    physicalBridges: Object.values(config.physical_networks),
    ...SIMULATED_SIZE,
  });
}

async function identify(
  files: StateFiles,
  config: AgentConfig,
  token: string | undefined,
  log: Logger,
): Promise<Identity> {
  const known = await loadIdentity(files, config.state_dir, config.controller);
  if (known && known.name !== config.name) {
    throw new Error(
      `${config.state_dir} belongs to host '${known.name}', the configuration names '${config.name}': give the host another state_dir, or its old name back`,
    );
  }
  if (known && (token === undefined || isFromToken(known, token))) return known;
  if (token === undefined) {
    throw new Error(
      `this host has not joined: make a token on the controller with \`maru host token --name ${config.name}\`, then start with --join TOKEN or with the token in MARU_JOIN_TOKEN`,
    );
  }
  const identity = await joinPatiently(log, () =>
    join(files, config.state_dir, token, {
      name: config.name,
      controller: config.controller,
      agentUrl: agentUrl(config, splitAddress(config.listen).port),
      addresses: certificateAddresses(config),
      underlayIp: config.underlay_ip,
    }),
  );
  log.info('joined', { controller: identity.controller, host_id: identity.host_id });
  return identity;
}

const JOIN_RETRY_MS = 2_000;

/** A controller that is not there yet is waited for; one that refuses is not asked again. */
async function joinPatiently(log: Logger, attempt: () => Promise<Identity>): Promise<Identity> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof PeerUnreachable)) throw error;
      if (attempts % 30 === 1) log.warn('cannot join yet, trying again', { error: error.message });
      await new Promise((resolve) => setTimeout(resolve, JOIN_RETRY_MS));
    }
  }
}
