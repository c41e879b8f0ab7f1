// the controller's short way to the logger that both sides of the wire share
// biome-ignore lint/performance/noBarrelFile: one name for one thing, not a collection
export { createLogger, type Logger, type LogLevel } from './protocol/log.js';
