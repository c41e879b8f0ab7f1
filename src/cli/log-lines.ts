import type { LogEntry } from '../core/log/collect.js';
import { CliError } from './error.js';

const COLOURS: Readonly<Record<string, string>> = {
  debug: '\u001b[2m',
  warn: '\u001b[33m',
  error: '\u001b[31m',
};
const PLAIN = '\u001b[0m';

/** What every line shows in its own place, or all lines share. */
const ELSEWHERE = new Set(['time', 'level', 'msg', 'host', 'service', 'stack']);

/** `time  host program  message  field=value …`; a command's input and a failure's stack follow in lines of their own. */
export function formatEntry({ program, host, line }: LogEntry, colour: boolean): string {
  const { time, level, msg } = line;
  const fields = Object.entries(line)
    .filter(([name, value]) => !ELSEWHERE.has(name) && value !== null && !isLong(value))
    .map(([name, value]) => `${name}=${shown(value)}`);
  // another host that a controller's line is about
  if (typeof line.host === 'string' && line.host !== host) fields.unshift(`host=${line.host}`);
  const weight = level === 'info' ? '' : `${level.toUpperCase()} `;
  const head = [time || '-', `${host} ${program}`, `${weight}${msg}`, ...fields].join('  ');
  const long = Object.entries(line)
    .filter(([name, value]) => isLong(value) && name !== 'msg')
    .map(([name, value]) => `\n    ${name}: ${String(value).trimEnd().split('\n').join('\n      ')}`);
  const painted = colour && COLOURS[level] ? `${COLOURS[level]}${head}${PLAIN}` : head;
  return painted + long.join('');
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

/** The moment that `90s`, `15min`, `1h`, `2d` (ago) or a time in RFC 3339 means; throws for other words. */
export function moment(text: string, now = Date.now()): Date {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d)(?:\s+ago)?$/.exec(text.trim()) ?? [];
  if (amount !== undefined && unit !== undefined) return new Date(now - Number(amount) * UNITS[unit]! * 1000);
  const parsed = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(parsed))
    throw new CliError(`'${text}' is no time: give 90s, 15min, 1h, 2d, or one like 2026-01-31T12:00`, 2);
  return new Date(parsed);
}

function isLong(value: unknown): boolean {
  return typeof value === 'string' && value.includes('\n');
}

function shown(value: unknown): string {
  const text =
    Array.isArray(value) && value.every((one) => typeof one === 'string') ? value.join(',') : value;
  if (typeof text !== 'string') return JSON.stringify(text);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
