import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { machine } from './commands.js';
import { enterHost } from './host.js';
import {
  AGENT_LISTENER_PORT,
  AGENT_PORT,
  CONTROLLER_ADDRESS,
  EXTERNAL,
  hostAddress,
  type LabNames,
  LOG_FILES,
  labFiles,
  UNDERLAY_MTU,
} from './names.js';
import type { ProgramSpec } from './program.js';
import type { LabSettings } from './settings.js';

const MARU = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** Writes the controller's configuration and says how to run it: in its namespace, with the socket from the supervisor. */
export async function controllerProgram(lab: LabNames, settings: LabSettings): Promise<ProgramSpec> {
  const files = labFiles(lab);
  const endpoint = `127.0.0.1:${settings.apiPort}`;
  const controller = {
    state_dir: files.controllerState,
    database: settings.database || `sqlite:${files.controllerState}/maru.db`,
    listen: endpoint,
    public_url: `http://${endpoint}`,
    agent_listen: `${CONTROLLER_ADDRESS}:${AGENT_LISTENER_PORT}`,
    agent_names: [CONTROLLER_ADDRESS, 'localhost'],
    admin_password_file: files.adminPassword,
    image_dir: `${files.controllerState}/images`,
    physical_networks: [EXTERNAL.physicalNetwork],
    underlay_mtu: UNDERLAY_MTU,
    // all lab hosts share one machine, which needs its memory too
    reserved_host_memory_mb: 1024,
    // as Tempest expects them of a cloud that has any: its tests of them pass on every lab
    lockout_failure_attempts: 2,
    lockout_duration: 5,
    unique_last_password_count: 2,
  };
  await machine.makeDirectory(files.controllerState, 0o700);
  await machine.writeFile(files.controllerConfig, stringify({ controller }), 0o600);
  return {
    name: 'controller',
    command: 'ip',
    args: [
      'netns',
      'exec',
      lab.controllerNs,
      process.execPath,
      MARU,
      'controller',
      '--config',
      files.controllerConfig,
    ],
    env: { MARU_LISTEN: 'ipc' },
    logFile: `${files.logs}/${LOG_FILES.controller}`,
    takesSocket: true,
  };
}

/** Writes a host's agent configuration and says how to run it there. `joinToken` lets it in the first time. */
export async function agentProgram(
  lab: LabNames,
  host: string,
  joinToken: string | null,
): Promise<ProgramSpec> {
  const files = labFiles(lab);
  const config = `${files.hostDirectory(host)}/maru.yaml`;
  const agent = {
    name: host,
    // where the host sees its own directory
    state_dir: `${files.hostMount}/agent`,
    controller: `https://${CONTROLLER_ADDRESS}:${AGENT_LISTENER_PORT}`,
    listen: `${hostAddress(host)}:${AGENT_PORT}`,
    underlay_ip: hostAddress(host),
    physical_networks: { [EXTERNAL.physicalNetwork]: EXTERNAL.bridge },
  };
  await machine.writeFile(config, stringify({ agent }), 0o600);
  const inside = [
    'setpriv',
    '--pdeathsig',
    'KILL',
    '--',
    process.execPath,
    MARU,
    'agent',
    '--config',
    config,
  ];
  return {
    name: `agent-${host}`,
    command: 'nsenter',
    args: [...(await enterHost(lab, host)), ...inside],
    env: joinToken === null ? {} : { MARU_JOIN_TOKEN: joinToken },
    logFile: `${files.logs}/agent-${host}.log`,
    takesSocket: false,
  };
}

/** True when the host's agent has its certificate. */
export async function hasJoined(lab: LabNames, host: string): Promise<boolean> {
  return (await machine.stat(`${labFiles(lab).hostDirectory(host)}/agent/identity.json`)) !== null;
}
