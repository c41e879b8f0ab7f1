import { Client } from '../../src/cli/client.js';
import { findCredentials } from '../../src/cli/credentials.js';
import { accountStep } from './account.js';
import { machine } from './actions.js';
import { apparmorStep } from './apparmor.js';
import { checkMachine, checksStep } from './checks.js';
import { cloudsStep } from './clouds.js';
import { configStep } from './config-file.js';
import { agentProblem, joinStep } from './join.js';
import { kernelStep } from './kernel.js';
import { CLOUDS, TEMPLATES, UNITS } from './layout.js';
import { libvirtStep } from './libvirt.js';
import { type InstallOptions, isController, isHost, joinToken } from './options.js';
import { packagesStep } from './packages.js';
import { programStep } from './program-tree.js';
import { type Outcome, runSteps, type Step } from './run-steps.js';
import { configured } from './settings.js';
import { shareStep } from './share.js';
import { tlsStep } from './tls.js';
import { runningStep, unitFilesStep } from './units.js';
import { writableStep } from './writable.js';

/** Installs a controller, a host or both on this machine, or brings an installation up to this version. Safe to repeat. */
export async function install(options: InstallOptions, print: (line: string) => void): Promise<Outcome> {
  await checkMachine();
  return await runSteps(await stepsOf(options), { dryRun: options.dryRun, print });
}

async function stepsOf(options: InstallOptions): Promise<Step[]> {
  const { role } = options;
  const revert = (await machine.stat(`${TEMPLATES}/systemd/${UNITS.bridgeRevert}`))
    ? [UNITS.bridgeRevert]
    : [];
  const input = once(readInput);
  return [
    checksStep(role),
    packagesStep(role, options.packages),
    programStep(),
    shareStep(),
    ...(isController(role) ? [accountStep()] : []),
    configStep(options),
    writableStep([...(isController(role) ? [UNITS.controller] : []), ...(isHost(role) ? [UNITS.agent] : [])]),
    ...(isController(role)
      ? [
          tlsStep(options),
          unitFilesStep([UNITS.controller]),
          runningStep(UNITS.controller, 'controller', controllerProblem),
          cloudsStep(),
        ]
      : []),
    ...(isHost(role)
      ? [
          kernelStep(),
          libvirtStep(),
          apparmorStep(),
          joinStep(role, () => joinToken(options, input), makeToken),
          unitFilesStep([UNITS.agent, ...revert]),
          runningStep(UNITS.agent, 'agent', agentProblem),
        ]
      : []),
  ];
}

/** What keeps the controller from being ready: null when its API answers. */
async function controllerProblem(): Promise<string | null> {
  const listen = String((await configured('controller', 'listen')) ?? '127.0.0.1:5000');
  const secure = (await configured('controller', 'tls_cert_file')) !== null;
  const port = listen.split(':').at(-1);
  const host = /^(0\.0\.0\.0|\[::\]|::):/.test(listen)
    ? '127.0.0.1'
    : listen.slice(0, listen.lastIndexOf(':'));
  const { get } = await import(secure ? 'node:https' : 'node:http');
  return await new Promise((resolve) => {
    // whom the certificate is of does not matter here: only whether anybody answers
    const request = get(
      `${secure ? 'https' : 'http'}://${host}:${port}/`,
      { rejectUnauthorized: false, timeout: 5_000 },
      (response: { statusCode?: number; resume(): void }) => {
        response.resume();
        resolve((response.statusCode ?? 500) < 500 ? null : `the API answers ${response.statusCode}`);
      },
    );
    request.on('timeout', () => request.destroy(new Error('no answer within 5 s')));
    request.on('error', (error: Error) => resolve(`the API does not answer: ${error.message}`));
  });
}

async function makeToken(host: string): Promise<string> {
  const client = new Client(findCredentials({ OS_CLIENT_CONFIG_FILE: CLOUDS, OS_CLOUD: 'maru' }));
  const made = await client.request<{ token: string }>('POST', '/maru/v1/hosts/tokens', {
    host_name: host,
    ttl: 600,
  });
  return made.token;
}

async function readInput(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) text += String(chunk);
  return text;
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
