import { accessSync, constants, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { splitAddress } from '../../net/listen-address.js';
import type { SectionName } from '../../protocol/config/document.js';
import { hasPassword } from '../../protocol/config/secrets.js';
import { closedWords } from '../../protocol/unit-paths.js';
import { closedTo } from './readable.js';
import { usedSections, type WholeReading } from './sections.js';
import { closedBySandbox, type InstalledUnits } from './unit-sandbox.js';

/**
 * What no key shows by itself: ports that collide, addresses that this machine does not have, secrets that others may read,
 * directories that an installed unit does not let its program write to. Noted in the document; only of sections that the file has. `serviceUser`: as whom the controller's unit runs.
 */
export async function crossCheck(
  whole: WholeReading,
  serviceUser = 'maru',
  installed: InstalledUnits = {},
): Promise<void> {
  const used = usedSections(whole);
  checkPorts(whole, used);
  if (used.includes('controller')) {
    checkController(whole, serviceUser);
    await checkPolicies(whole);
  }
  if (used.includes('agent')) checkAgent(whole);
  await checkSandboxes(whole, used, installed);
}

async function checkSandboxes(
  whole: WholeReading,
  used: readonly SectionName[],
  installed: InstalledUnits,
): Promise<void> {
  for (const program of used) {
    for (const closed of await closedBySandbox(program, whole, installed)) {
      const { what, mend } = closedWords(program, closed);
      errorsOf(whole)(program, closed.key, what, mend);
    }
  }
}

type Note = (section: SectionName, key: string, message: string, hint?: string) => void;

function errorsOf(whole: WholeReading): Note {
  return (section, key, message, hint = '') =>
    whole.document.complain(whole.document.nodeOf(section, key), `'${key}' ${message}`, hint);
}

function warningsOf(whole: WholeReading): Note {
  return (section, key, message, hint = '') =>
    whole.document.complain(whole.document.nodeOf(section, key), `'${key}' ${message}`, hint, 'warning');
}

function checkPorts(whole: WholeReading, used: readonly SectionName[]): void {
  const { controller, agent } = whole;
  const all = [
    { section: 'controller', key: 'listen', address: controller.values.listen },
    { section: 'controller', key: 'agent_listen', address: controller.values.agent_listen },
    { section: 'agent', key: 'listen', address: agent.values.listen },
  ] as const;
  const listeners = all
    .filter(({ section }) => used.includes(section))
    .map((one) => ({ ...one, ...splitAddress(one.address) }));
  for (const [i, one] of listeners.entries()) {
    for (const other of listeners.slice(0, i)) {
      if (one.port === 0 || one.port !== other.port || !overlap(one.host, other.host)) continue;
      const message = `has port ${one.port} of ${other.section}.${other.key} (${other.address})`;
      errorsOf(whole)(one.section, one.key, message, 'give one of them another port');
    }
  }
}

const EVERY = new Set(['0.0.0.0', '::']);

function overlap(a: string, b: string): boolean {
  return a === b || EVERY.has(a) || EVERY.has(b);
}

function checkController(whole: WholeReading, serviceUser: string): void {
  const { values, origins } = whole.controller;
  const error = errorsOf(whole);
  const warn = warningsOf(whole);
  if (hasPassword(values.database) && mayOthersRead(whole.document.file)) {
    const file = whole.document.file;
    const hint = `chmod 0640 ${file}, or put it into a file of its own: database_password_file`;
    error('controller', 'database', 'has a password in it, and everybody may read this file', hint);
  }
  if (origins.database_password.from === 'file' && !origins.database_password.secretFile) {
    const open = mayOthersRead(whole.document.file);
    const note = open ? error : warn;
    const where = open ? 'is in a file that everybody may read' : 'is in the configuration itself';
    note('controller', 'database_password', where, 'put it into a file of its own: database_password_file');
  }
  if (mayOthersRead(values.admin_password_file)) {
    const hint = `chmod 0600 ${values.admin_password_file}`;
    error('controller', 'admin_password_file', 'names a file that everybody may read', hint);
  }
  if (isUnreadable(values.admin_password_file)) {
    error(
      'controller',
      'admin_password_file',
      'names a file that this user may not read',
      'chown it to the user maru',
    );
  }
  for (const key of ['tls_cert_file', 'tls_key_file'] as const) {
    const file = values[key];
    const closed = file === null ? null : closedTo(file, serviceUser);
    if (closed === null) continue;
    const message = `is closed to user ${serviceUser}, as whom the controller runs, by the mode of ${closed}`;
    const hint = `sudo -u ${serviceUser} cat ${file} must work: chgrp ${serviceUser}, chmod g+rX, or copy it to /etc/maru`;
    warn('controller', key, message, hint);
  }
  const { hostname } = new URL(values.public_url);
  const local = /^(127\.|localhost$|\[::1\]$)/.test(hostname);
  const { host } = splitAddress(values.listen);
  if (local && !/^(127\.|localhost$|::1$)/.test(host)) {
    const hint = 'set public_url to the name or address that clients use';
    warn(
      'controller',
      'public_url',
      `is ${values.public_url}, which clients on other machines cannot reach`,
      hint,
    );
  }
  warnUnlessHere(whole, 'controller', 'listen', host);
  warnUnlessHere(whole, 'controller', 'agent_listen', splitAddress(values.agent_listen).host);
}

async function checkPolicies(whole: WholeReading): Promise<void> {
  const { values } = whole.controller;
  if (values.policy_file === null) return;
  // every service is read for it, which nobody else who checks a file should wait for
  const { checkPolicyFile } = await import('./policy-file.js');
  try {
    const unused = checkPolicyFile(values);
    if (unused.length === 0) return;
    const message = `has names that nothing here has: ${unused.join(', ')}`;
    warningsOf(whole)('controller', 'policy_file', message, 'rules for them govern nothing');
  } catch (failure) {
    const message = `cannot be used: ${(failure as Error).message}`;
    errorsOf(whole)('controller', 'policy_file', message);
  }
}

function checkAgent(whole: WholeReading): void {
  const { values } = whole.agent;
  const warn = warningsOf(whole);
  warnUnlessHere(whole, 'agent', 'listen', splitAddress(values.listen).host);
  if (/^(127\.|::1$)/.test(values.underlay_ip)) {
    const hint = "set it to this host's address in the network between hosts";
    warn('agent', 'underlay_ip', `is ${values.underlay_ip}: other hosts' tunnels cannot lead here`, hint);
  } else warnUnlessHere(whole, 'agent', 'underlay_ip', values.underlay_ip);
}

/** Names are looked up when the program starts; addresses can be compared now. */
function warnUnlessHere(whole: WholeReading, section: SectionName, key: string, address: string): void {
  if (EVERY.has(address) || !/^[\d.]+$|:/.test(address) || address.startsWith('127.') || address === '::1')
    return;
  const mine = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .map((one) => one.address);
  if (mine.includes(address)) return;
  const usable = mine.filter((one) => !one.startsWith('127.') && one !== '::1' && !one.startsWith('fe80:'));
  const hint = usable.length > 0 ? `it has ${usable.slice(0, 6).join(', ')}` : '';
  warningsOf(whole)(section, key, `names ${address}, which this machine does not have`, hint);
}

function mayOthersRead(file: string): boolean {
  try {
    return (statSync(file).mode & 0o004) !== 0;
  } catch {
    return false;
  }
}

function isUnreadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EACCES';
  }
}
