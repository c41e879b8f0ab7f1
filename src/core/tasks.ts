import type { App } from './app.js';

/** Tells the runner every kind of durable work that there is. */
export function registerTasks(app: App): void {
  app.tasks.register();
}
