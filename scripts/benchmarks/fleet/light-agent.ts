import { agentUrl, certificateAddresses } from '../../../agents/addresses.js';
import { Agent } from '../../../agents/agent.js';
import type { AgentConfig } from '../../../agents/config.js';
import { type PushOutcome, SpecStore, type StateFiles } from '../../../agents/spec-store.js';
import { Controller } from '../../../agents/transport/controller.js';
import { join } from '../../../agents/transport/identity.js';
import type { Logger } from '../../../src/protocol/log.js';
import { NO_LOG } from '../../../src/protocol/log-source.js';
import type { Heartbeat, HeartbeatReply, HostFacts, SpecPush } from '../../../src/protocol/messages.js';
import { contentParts } from './content-parts.js';

/** A host of the fleet: a name, and a loopback address that stands for its address in the network between hosts. */
export interface LightHost {
  readonly name: string;
  readonly address: string;
  readonly token: string;
}

/** What is noted of an agent while it runs; times in milliseconds of the machine's monotonic clock. */
export interface AgentWitness {
  heartbeat(host: string, ms: number, failed: boolean): void;
  taken(host: string, push: SpecPush): void;
}

const AGENT_PORT = 5444;
/** What every host of the fleet offers. */
const SIZE = { vcpus: 64, memory_mb: 262_144, disk_gb: 4000 };

/**
 * Joins with the token and runs the agent's own loop, over parts that hold every object applied without touching anything. The
 * spec is kept in memory only.
 */
export async function startLightAgent(
  host: LightHost,
  controller: string,
  witness: AgentWitness,
  log: Logger,
): Promise<Agent> {
  const config = configOf(host, controller);
  const files = memoryFiles();
  const identity = await join(files, config.state_dir, host.token, {
    name: config.name,
    controller,
    agentUrl: agentUrl(config, AGENT_PORT),
    addresses: certificateAddresses(config),
    underlayIp: config.underlay_ip,
  });
  const specs = new WitnessedSpecs(files, config, witness);
  const parts = contentParts();
  const agent = new Agent({
    config,
    identity,
    controller: new WitnessedController(identity, host.name, witness),
    files,
    specs,
    parts,
    bootId: `fleet-${host.name}`,
    facts: async () => factsOf(host),
    usage: async () => ({ memory_used_mb: 1024, disk_used_gb: 10, running_guests: 0 }),
    probe: async () => ({ unknown_networks: [], answers: [] }),
    trace: async () => ({ findings: [] }),
    logs: NO_LOG.find,
    consoleOutput: async () => '',
    doctor: async () => {
      throw new Error('nobody asks this one');
    },
    log,
  });
  await agent.start();
  return agent;
}

class WitnessedController extends Controller {
  readonly #host: string;
  readonly #witness: AgentWitness;

  constructor(identity: ConstructorParameters<typeof Controller>[0], host: string, witness: AgentWitness) {
    super(identity);
    this.#host = host;
    this.#witness = witness;
  }

  override async heartbeat(beat: Heartbeat): Promise<HeartbeatReply> {
    const began = performance.now();
    try {
      const reply = await super.heartbeat(beat);
      this.#witness.heartbeat(this.#host, performance.now() - began, false);
      return reply;
    } catch (error) {
      this.#witness.heartbeat(this.#host, performance.now() - began, true);
      throw error;
    }
  }
}

class WitnessedSpecs extends SpecStore {
  readonly #host: string;
  readonly #witness: AgentWitness;

  constructor(files: StateFiles, config: AgentConfig, witness: AgentWitness) {
    super(files, config.state_dir, config.max_removal_share);
    this.#host = config.name;
    this.#witness = witness;
  }

  override async take(push: SpecPush): Promise<PushOutcome> {
    const outcome = await super.take(push);
    if (outcome.taken) this.#witness.taken(this.#host, push);
    return outcome;
  }
}

function configOf(host: LightHost, controller: string): AgentConfig {
  return {
    name: host.name,
    state_dir: '/memory',
    controller,
    listen: `${host.address}:${AGENT_PORT}`,
    underlay_ip: host.address,
    physical_networks: { extnet: 'br-ex' },
    virt_type: 'qemu',
    libvirt_uri: '',
    log_level: 'error',
    log_file: null,
    log_file_size_mb: 50,
    log_files_kept: 5,
    heartbeat_interval: 5,
    full_sync_interval: 60,
    max_removal_share: 0.5,
    image_cache_days: 0,
    boot_wait: 15,
  };
}

function factsOf(host: LightHost): HostFacts {
  return {
    hostname: host.name,
    agent_version: '0.1.0',
    kernel: '6.1',
    cpu_model: 'simulated',
    ...SIZE,
    libvirt_version: '',
    qemu_version: '',
    virt_type: 'fake',
    virt_type_reason: 'simulated by scripts/bench fleet',
    physical_networks: ['extnet'],
    underlay_ip: host.address,
    simulated: true,
    warnings: [],
  };
}

/** The agent's files without a disk. The spec itself, large and never read back here, is not kept. */
function memoryFiles(): StateFiles {
  const kept = new Map<string, string>();
  return {
    readFileIfExists: async (path) => kept.get(path) ?? null,
    writeFile: async (path, content) => {
      if (!path.endsWith('/spec.json')) kept.set(path, String(content));
    },
    makeDirectory: async () => {},
    removeFile: async (path) => {
      kept.delete(path);
    },
    rename: async (from, to) => {
      const text = kept.get(from);
      if (text !== undefined) kept.set(to, text);
      kept.delete(from);
    },
  };
}
