import type { TaskKind } from '../tasks/kind.js';
import type { App } from './app.js';
import { imageDeleteKind } from './image/tasks/delete.js';
import { uploadKind } from './image/tasks/upload.js';
import { routerMove } from './router/tasks/move.js';
import { buildKind } from './server/tasks/build.js';
import { deleteKind } from './server/tasks/delete.js';
import { powerKinds } from './server/tasks/power.js';

/** Tells the runner every kind of durable work that there is. */
export function registerTasks(app: App): void {
  app.tasks.register(buildKind(app), ...powerKinds(app), deleteKind(app));
  app.tasks.register(uploadKind(app), imageDeleteKind(app));
  app.tasks.register(routerMove(app) as TaskKind);
}
