import { badRequest, conflict } from '../../../core/errors.js';
import { visibleServer } from '../../../core/server/find.js';
import { rebootServer, startServer, stopServer } from '../../../core/server/power.js';
import { addServerGroup, removeServerGroup } from '../../../core/server/security-groups.js';
import { lockServer, resetState, unlockServer } from '../../../core/server/update.js';
import { atLeast, compareVersions, parseVersion } from '../../shared/microversion.js';
import { type Operation, OpReply, type OpRequest, type Schema } from '../../shared/operation.js';
import { judge } from '../../shared/target.js';
import { validate } from '../../shared/validate.js';
import { associateFloatingIp, dissociateFloatingIp } from '../network/floating-ips.js';
import { ADMIN, ANYBODY, MEMBER, policy } from '../policy.js';
import { envelope, NAME, object } from '../schemas.js';
import { serverTarget } from './target.js';

/** One action of `POST /servers/{id}/action`: the body's only key names it. */
interface ServerAction {
  readonly policy: { readonly name: string; readonly rule: string };
  /** Last microversion in which it exists. */
  readonly until?: string;
  /** Schema of the value below the action's name; absent: anything. */
  readonly schema?: Schema;
  // biome-ignore lint/suspicious/noExplicitAny: each action's schema has checked its arguments
  run(request: OpRequest, id: string, args: any): Promise<unknown>;
}

const GROUP = object({ name: NAME }, ['name']);

/** Every action that is implemented, by its name in the body. */
export const SERVER_ACTIONS: Readonly<Record<string, ServerAction>> = {
  'os-start': {
    policy: policy('servers:start', MEMBER),
    run: ({ app, ctx }, id) => startServer(app, ctx, id),
  },
  'os-stop': {
    policy: policy('servers:stop', MEMBER),
    run: ({ app, ctx }, id) => stopServer(app, ctx, id),
  },
  reboot: {
    policy: policy('servers:reboot', MEMBER),
    schema: object({ type: { type: 'string', enum: ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft'] } }, [
      'type',
    ]),
    run: ({ app, ctx }, id, { type }: { type: string }) =>
      rebootServer(app, ctx, id, type.toLowerCase() === 'soft' ? 'soft' : 'hard'),
  },
  'os-getConsoleOutput': {
    policy: policy('os-console-output', MEMBER),
    schema: object({ length: { type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$', minimum: -1 } }),
    run: consoleOutput,
  },
  lock: {
    policy: policy('os-lock-server:lock', MEMBER),
    run: lock,
  },
  unlock: {
    policy: policy('os-lock-server:unlock', MEMBER),
    run: ({ app, ctx }, id) => unlockServer(app, ctx, id),
  },
  'os-resetState': {
    policy: policy('os-admin-actions:reset_state', ADMIN),
    schema: object({ state: { type: 'string', enum: ['active', 'error'] } }, ['state']),
    run: ({ app, ctx }, id, { state }: { state: 'active' | 'error' }) => resetState(app, ctx, id, state),
  },
  addSecurityGroup: {
    policy: policy('os-security-groups:add', MEMBER),
    schema: GROUP,
    run: ({ app, ctx }, id, { name }: { name: string }) => addServerGroup(app, ctx, id, name),
  },
  removeSecurityGroup: {
    policy: policy('os-security-groups:remove', MEMBER),
    schema: GROUP,
    run: ({ app, ctx }, id, { name }: { name: string }) => removeServerGroup(app, ctx, id, name),
  },
  addFloatingIp: {
    policy: policy('os-floating-ips:add', MEMBER),
    until: '2.43',
    schema: object(
      { address: { type: 'string', format: 'ipv4' }, fixed_address: { type: 'string', format: 'ipv4' } },
      ['address'],
    ),
    run: (request, id, { address, fixed_address }: { address: string; fixed_address?: string }) =>
      associateFloatingIp(request, id, address, fixed_address ?? null),
  },
  removeFloatingIp: {
    policy: policy('os-floating-ips:remove', MEMBER),
    until: '2.43',
    schema: object({ address: { type: 'string', format: 'ipv4' } }, ['address']),
    run: (request, id, { address }: { address: string }) => dissociateFloatingIp(request, id, address),
  },
};

export const serverActionOperation: Operation = {
  method: 'POST',
  path: '/v2.1/servers/:server_id/action',
  policy: policy('servers:action', ANYBODY),
  summary: `Act on a server: ${Object.keys(SERVER_ACTIONS).join(', ')}`,
  body: { type: 'object' },
  status: 202,
  handler: act,
};

async function act(request: OpRequest<Record<string, unknown>>) {
  const names = Object.keys(request.body);
  const [name = ''] = names;
  if (names.length !== 1) throw badRequest('There is no such action: the body must name exactly one');
  const action = Object.hasOwn(SERVER_ACTIONS, name) ? SERVER_ACTIONS[name] : undefined;
  if (!action || (action.until && compareVersions(request.version, parseVersion(action.until)) > 0))
    throw badRequest(`There is no such action: ${name}`);
  const ctx = await judge({ objectTarget: serverTarget }, request, action.policy.name);
  if (action.schema) validate(envelope(name, action.schema), request.body);
  return await action.run({ ...request, ctx }, request.params.server_id!, request.body[name]);
}

const LOCK: Schema = {
  type: ['object', 'null'],
  properties: { locked_reason: { type: 'string', minLength: 1, maxLength: 255 } },
  additionalProperties: false,
};

async function lock({ app, ctx, version, body }: OpRequest, id: string, args: unknown): Promise<void> {
  const reasoned = atLeast(version, '2.73');
  if (reasoned) validate(envelope('lock', LOCK), body);
  const reason = reasoned ? (args as { locked_reason?: string } | null)?.locked_reason : undefined;
  await lockServer(app, ctx, id, reason ?? null);
}

async function consoleOutput(
  { app, ctx }: OpRequest,
  id: string,
  { length }: { length?: number | string | null },
): Promise<OpReply> {
  const server = await visibleServer(app.store.read, ctx, id);
  if (server.host_id === null || server.vm_state === 'building') {
    throw conflict(`Instance ${id} is not ready`);
  }
  const lines = length === undefined || length === null ? null : Number(length);
  const output = await app.hosts.consoleOutput(
    server.host_id,
    id,
    lines !== null && lines < 0 ? null : lines,
  );
  return new OpReply(200, { output });
}
