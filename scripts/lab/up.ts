import { createServer } from 'node:net';
import { Cloud } from './cloud.js';
import { writeClouds } from './clouds-yaml.js';
import { GiveUp, machine, waitFor } from './commands.js';
import { ensureSupervisor, programStates, runProgram } from './control.js';
import { ensureHost, loadKernelModules, waitForLibvirt } from './host.js';
import { hostNames, type LabNames, LOG_FILES, labFiles } from './names.js';
import { ensureLabNetwork, processesIn } from './network.js';
import { checkPortFree } from './port.js';
import { agentProgram, controllerProgram, hasJoined } from './programs.js';
import { intended, type LabSettings, settle } from './settings.js';

/** Told what is being done, and when it is done. */
export type Step = <T>(title: string, work: () => Promise<T>) => Promise<T>;

/** Starts a lab, or what is missing of one: it may be called again at any time, also after a start that was killed. */
export async function labUp(
  lab: LabNames,
  asked: Partial<LabSettings>,
  step: Step,
): Promise<{ settings: LabSettings; admin: Cloud }> {
  if (process.getuid?.() !== 0)
    throw new Error('a lab is made of network namespaces: run this as root (sudo)');
  return await locked(lab, async () => {
    // before anything is made or remembered: with another port the command can simply be repeated
    const running = await programStates(lab);
    if (!running) {
      await orphansEnd(lab);
      await checkPortFree((await intended(lab, asked)).apiPort);
    }
    const settings = await settle(lab, asked);
    const hosts = hostNames(settings.hosts);
    const files = labFiles(lab);
    for (const path of [files.logs, `${lab.directory}/run`, files.images])
      await machine.makeDirectory(path, 0o755);

    await step('network namespaces', async () => {
      await loadKernelModules();
      await ensureLabNetwork(lab);
    });
    const [first = 'host1', ...others] = hosts;
    await step(`host ${first} with its libvirt`, async () => {
      await ensureHost(lab, first, hosts);
      // the controller starts while libvirt looks at QEMU
      await ensureSupervisor(lab, settings.apiPort);
      await runProgram(lab, await controllerProgram(lab, settings));
      await waitForLibvirt(lab, first);
    });
    if (others.length) {
      await step(`hosts ${others.join(', ')}`, async () => {
        for (const host of others) await ensureHost(lab, host, hosts);
        for (const host of others) await waitForLibvirt(lab, host);
      });
    }
    const admin = await step('controller', () => adminOf(lab, settings));
    await step('agents', async () => {
      for (const host of hosts) {
        const token = (await hasJoined(lab, host)) ? null : await joinToken(admin);
        await runProgram(lab, await agentProgram(lab, host, token));
      }
      await waitForAgents(lab, admin, hosts);
    });
    return { settings, admin };
  });
}

/** What a supervisor ran that was killed ends with it, but not in the same moment, and holds the API's port until then. */
async function orphansEnd(lab: LabNames): Promise<void> {
  const none = async () => (await processesIn(lab.controllerNs)).length === 0;
  // whatever else somebody has started there holds no port of the API
  await waitFor('end of the controller', 20_000, none).catch(() => {});
}

/** A client with the administrator's rights; waits until the API lets it in. */
export async function adminOf(lab: LabNames, settings: LabSettings): Promise<Cloud> {
  const files = labFiles(lab);
  const endpoint = `http://127.0.0.1:${settings.apiPort}`;
  const logFile = `${files.logs}/${LOG_FILES.controller}`;
  return await waitFor(`controller at ${endpoint} (log: ${logFile})`, 180_000, async () => {
    const controller = (await programStates(lab))?.find((program) => program.name === 'controller');
    if ((controller?.restarts ?? 0) >= 5) {
      throw new GiveUp(
        `the controller ends again and again (${controller?.lastExit}): ${(await machine.readTail(logFile, 1500)).trim()}`,
      );
    }
    const password = (await machine.readFile(files.adminPassword)).trim();
    const credentials = { username: 'admin', password, project: 'admin' };
    const cloud = new Cloud(endpoint, credentials);
    await cloud.authenticate();
    if (!(await machine.stat(files.clouds)))
      await writeClouds(files.clouds, { endpoint }, { maru: credentials });
    return cloud;
  });
}

async function joinToken(admin: Cloud): Promise<string> {
  return (await admin.call<{ token: string }>('maru', 'POST', '/hosts/tokens', {})).token;
}

async function waitForAgents(lab: LabNames, admin: Cloud, hosts: readonly string[]): Promise<void> {
  await waitFor(
    `agents of ${hosts.join(', ')} (logs: ${labFiles(lab).logs}/agent-*.log)`,
    180_000,
    async () => {
      const { hosts: known } = await admin.call<{ hosts: { name: string; state: string }[] }>(
        'maru',
        'GET',
        '/hosts',
      );
      const waiting = hosts.filter(
        (host) => !known.some(({ name, state }) => name === host && state === 'up'),
      );
      if (waiting.length === 0) return true;
      const programs = await programStates(lab);
      for (const host of waiting) {
        const agent = programs?.find((program) => program.name === `agent-${host}`);
        if ((agent?.restarts ?? 0) >= 5) {
          const said = await machine.readTail(`${labFiles(lab).logs}/agent-${host}.log`, 1500);
          throw new GiveUp(`the agent of ${host} ends again and again (${agent?.lastExit}): ${said.trim()}`);
        }
      }
      throw new Error(`${waiting.join(', ')} not up`);
    },
  );
}

/** Lets one start or end of a lab run at a time: an abstract socket is the lock, which the kernel drops with its owner. */
export async function locked<T>(lab: LabNames, work: () => Promise<T>): Promise<T> {
  const lock = createServer();
  await new Promise<void>((resolve, reject) => {
    lock.on('error', () =>
      reject(new Error(`lab ${lab.name} is being started or ended by another command: wait for it`)),
    );
    lock.listen(`\0${lab.name}.lock`, resolve);
  });
  try {
    return await work();
  } finally {
    lock.close();
  }
}
