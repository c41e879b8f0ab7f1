import { changeService, type ServiceChange } from '../../../core/compute-host/service.js';
import { type HostSummary, summariseHosts } from '../../../core/compute-host/summary.js';
import { badRequest, notFound } from '../../../core/errors.js';
import { atLeast } from '../../shared/microversion.js';
import type { Operation, OpRequest, Schema } from '../../shared/operation.js';
import { lastValue } from '../../shared/query.js';
import { validate } from '../../shared/validate.js';
import { ADMIN, policy } from '../policy.js';
import { BOOLEAN, isTrue, object } from '../schemas.js';
import { microseconds } from '../server/view.js';

const BINARY = 'nova-compute';

/** The compute service of each host. */
export const serviceOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/v2.1/os-services',
    policy: policy('os-services:list', ADMIN),
    summary: 'List compute services',
    status: 200,
    handler: list,
  },
  {
    method: 'PUT',
    path: '/v2.1/os-services/:id',
    policy: policy('os-services:update', ADMIN),
    summary: 'Enable, disable or force down a compute service',
    body: { type: 'object' },
    status: 200,
    handler: update,
  },
];

async function list(request: OpRequest) {
  const { app, query } = request;
  const wanted = (key: string, value: string) => {
    const filter = lastValue(query[key]);
    return filter === undefined || filter === 'None' || filter === value;
  };
  const hosts = (await summariseHosts(app)).filter(
    ({ host }) => wanted('host', host.name) && wanted('binary', BINARY),
  );
  return { services: hosts.map((host) => show(request, host)) };
}

function show({ version }: OpRequest, { host, up, zone }: HostSummary): Record<string, unknown> {
  return {
    id: atLeast(version, '2.53') ? host.service_id : (host.number ?? 0),
    binary: BINARY,
    host: host.name,
    zone,
    status: host.enabled ? 'enabled' : 'disabled',
    state: up ? 'up' : 'down',
    updated_at: microseconds(host.last_seen_at),
    disabled_reason: host.disabled_reason,
    ...(atLeast(version, '2.11') ? { forced_down: host.forced_down === 1 } : {}),
  };
}

const HOST: Schema = { type: 'string', minLength: 1, maxLength: 255 };
const REASON: Schema = { type: 'string', minLength: 1, maxLength: 255 };
const NAMED = { host: HOST, binary: HOST };

const NEW = object({
  status: { type: 'string', enum: ['enabled', 'disabled'] },
  disabled_reason: REASON,
  forced_down: BOOLEAN,
});

interface OldBody {
  host: string;
  binary: string;
  disabled_reason?: string;
  forced_down?: unknown;
}

async function update(request: OpRequest) {
  const { app, version, params } = request;
  const { id = '' } = params;
  if (!atLeast(version, '2.53')) return await updateNamed(request, id);
  validate(NEW, request.body);
  const body = request.body as { status?: string; disabled_reason?: string; forced_down?: unknown };
  if (Object.keys(body).length === 0) {
    throw badRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.");
  }
  if (body.disabled_reason !== undefined && body.status !== 'disabled') {
    throw badRequest("Specifying 'disabled_reason' requires that status is 'disabled'.");
  }
  if (!(await summariseHosts(app)).some(({ host }) => host.service_id === id)) {
    throw notFound(`Service ${id} could not be found.`);
  }
  const name = await changeService(app, id, {
    enabled: body.status === undefined ? undefined : body.status === 'enabled',
    disabledReason: body.disabled_reason,
    forcedDown: body.forced_down === undefined ? undefined : isTrue(body.forced_down),
  });
  const host = (await summariseHosts(app)).find((summary) => summary.host.name === name)!;
  return { service: show(request, host) };
}

/** Before 2.53 the last part of the path says what is to be done, and the body to which host. */
async function updateNamed(request: OpRequest, action: string) {
  const { app, version } = request;
  const schema = OLD_SCHEMAS[action];
  if (!schema || (action === 'force-down' && !atLeast(version, '2.11'))) throw notFound('Unknown action');
  validate(schema, request.body);
  const body = request.body as OldBody;
  if (body.binary !== BINARY) throw notFound(`Could not find binary ${body.binary} on host ${body.host}.`);
  await changeService(app, body.host, oldChange(action, body));
  const { host, binary } = body;
  if (action === 'force-down') return { service: { host, binary, forced_down: isTrue(body.forced_down) } };
  const status = action === 'enable' ? 'enabled' : 'disabled';
  const reason = action === 'disable-log-reason' ? { disabled_reason: body.disabled_reason } : {};
  return { service: { host, binary, status, ...reason } };
}

const OLD_SCHEMAS: Readonly<Record<string, Schema>> = {
  enable: object(NAMED, ['host', 'binary']),
  disable: object(NAMED, ['host', 'binary']),
  'disable-log-reason': object({ ...NAMED, disabled_reason: REASON }, ['host', 'binary', 'disabled_reason']),
  'force-down': object({ ...NAMED, forced_down: BOOLEAN }, ['host', 'binary']),
};

function oldChange(action: string, body: OldBody): ServiceChange {
  if (action === 'force-down') return { forcedDown: isTrue(body.forced_down) };
  return { enabled: action === 'enable', disabledReason: body.disabled_reason };
}
