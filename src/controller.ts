import { mkdir } from 'node:fs/promises';
import { createApi } from './api/api.js';
import { allServices } from './api/services.js';
import { type Config, loadConfig } from './config.js';
import { sweepAddressHolds } from './core/address/settle.js';
import type { App } from './core/app.js';
import { createDefaultFlavors } from './core/flavor/defaults.js';
import { bootstrapIdentity } from './core/identity/bootstrap.js';
import { createIdentity } from './core/identity/identity.js';
import { ImageFiles } from './core/image/files.js';
import { resetInterruptedUploads } from './core/image/upload.js';
import { onNetworkReports } from './core/network/reports.js';
import { RulePolicy } from './core/policy/engine.js';
import { placeWaitingRouters, sweepRouters } from './core/router/sweep.js';
import { followHosts } from './core/server/wire.js';
import { registerTasks } from './core/tasks.js';
import { sweepDeletedVolumes } from './core/volume/change.js';
import { onVolumeReports } from './core/volume/reports.js';
import { networkKinds } from './desired/network-kinds.js';
import { serverKind } from './desired/server.js';
import { volumeKind } from './desired/volume.js';
import { Hosts } from './hosts/hosts.js';
import { listenApi } from './hosts/listen.js';
import { startPeriodic } from './periodic.js';
import { createLogger, type Logger } from './protocol/log.js';
import { Store } from './store/store.js';
import { Tasks } from './tasks/tasks.js';

/** How long a starting controller lets hosts answer before it takes requests. */
const FIRST_CONTACTS_MS = 1_000;

/** Runs a controller until SIGTERM or SIGINT. Rejects when it cannot start, with what is wrong. */
export async function runController(configFile: string): Promise<void> {
  const config = loadConfig(configFile);
  const log = createLogger(config.log_level, { service: 'controller' });
  const controller = await startController(config, log);
  const stop = async (signal: string) => {
    log.info('stopping', { signal });
    await controller.close();
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/** Puts the parts together: the only place where they are chosen and joined. */
export async function startController(config: Config, log: Logger): Promise<{ close(): Promise<void> }> {
  await mkdir(config.state_dir, { recursive: true, mode: 0o750 });
  const store = await Store.open(config.database);
  const images = new ImageFiles(config.image_dir);
  const identity = createIdentity(config, store);
  const policy = new RulePolicy(config.policy_file);
  const hosts = await Hosts.open({
    config,
    store,
    log,
    kinds: [...networkKinds, serverKind, volumeKind],
    openImage: (id) => images.open(id),
  });
  const tasks = new Tasks({ store, log });
  const app: App = { config, store, log, identity, policy, hosts, images, tasks, auth: identity.tokens };
  registerTasks(app);
  followHosts(app, hosts);
  hosts.onReport(onVolumeReports);
  hosts.onReport((tx, hostId, reports) => onNetworkReports(app, tx, hostId, reports));
  hosts.onFacts((tx) => placeWaitingRouters(tx, app));

  const services = allServices(app);
  const api = await createApi(app, services);
  policy.verify();
  await bootstrapIdentity(
    app,
    services.map((s) => s.name),
  );
  await createDefaultFlavors(app);
  await resetInterruptedUploads(app);
  await hosts.start();
  await tasks.run();
  const periodic = startPeriodic(log, [
    { name: 'addresses to give out again', seconds: 30, run: () => sweepAddressHolds(app) },
    { name: 'routers without a working host', seconds: 2, run: () => sweepRouters(app) },
    { name: 'old tasks', seconds: 3600, run: () => tasks.prune() },
    { name: 'deleted volumes', seconds: 5, run: () => sweepDeletedVolumes(app) },
    { name: 'token keys and revocations', seconds: 3600, run: () => identity.tokens.housekeeping() },
  ]);
  await hosts.firstContacts(FIRST_CONTACTS_MS);
  log.info('ready', { listening: await listenApi(api, config) });

  return {
    close: async () => {
      periodic.stop();
      // one that cannot end well keeps none of the others open
      const ended = [];
      for (const part of [api, hosts, tasks, store])
        ended.push(...(await Promise.allSettled([part.close()])));
      for (const end of ended) if (end.status === 'rejected') throw end.reason;
    },
  };
}
