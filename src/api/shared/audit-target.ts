import { type Operation, OpReply } from './operation.js';

/** What a request is about. */
export interface FoundTarget {
  readonly type: string | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly projectId: string | null;
}

/** Collections below something else whose members are things of their own; others are parts of what they are below. */
const OWN = /^(application_credentials|access_rules|OS-EC2|access_tokens|rules|members|snapshots|backups)$/;
/** Names that trails have for what paths and bodies name otherwise. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  floatingip: 'floating-ip',
  ec2: 'ec2-credential',
  file: 'image',
  type: 'volume-type',
};

/** What the path says that a request is about: `server/ID` of `/v2.1/servers/:server_id/metadata/:key`. */
export function targetOfPath(
  { path }: Pick<Operation, 'path'>,
  params: Readonly<Record<string, string>>,
): FoundTarget {
  const pairs = [...path.matchAll(/\/([^/:]+)\/:([A-Za-z_]+)/g)].filter(([, name]) => !/^v\d/.test(name!));
  const own = pairs.findLast(([, name]) => OWN.test(name!));
  const pair = own ?? pairs[0];
  const id = pair ? (params?.[pair[2]!] ?? null) : null;
  const last = path.split('/').findLast((part) => part !== '' && !part.startsWith(':')) ?? '';
  const type = typeName(singular(pair?.[1] ?? (/^v\d/.test(last) ? '' : last)));
  const project = type === 'project' || type === 'quota' || type === 'quota-set' ? id : null;
  return { type: type || null, id, name: null, projectId: project ?? params?.project_id ?? null };
}

/** What the answer says that was made or changed; `ofPath`: what is known from the path. */
export function targetOfAnswer(operation: Operation, ofPath: FoundTarget, result: unknown): FoundTarget {
  const body = bodyOf(result);
  const keys = Object.keys(body);
  const inner = keys.length === 1 ? body[keys[0]!] : undefined;
  const wrapped = isObject(inner);
  const thing = wrapped ? inner : body;
  const named = { name: text(thing.name), projectId: text(thing.project_id) ?? text(thing.tenant_id) };
  const made = operation.method === 'POST' && (ofPath.id === null || OWN.test(lastPart(operation)));
  if (!made) {
    const same = ofPath.id !== null && text(thing.id) === ofPath.id;
    return same ? { ...ofPath, name: named.name, projectId: named.projectId ?? ofPath.projectId } : ofPath;
  }
  if (Array.isArray(inner)) return { ...ofPath, type: ofPath.type, id: null };
  const id = text(thing.id) ?? text(thing.uuid) ?? text((thing.audit_ids as unknown[] | undefined)?.[0]);
  const type = wrapped ? typeName(keys[0]!) : ofPath.type;
  if (id === null && named.name === null) return ofPath;
  return { type, id: id ?? named.name, name: named.name, projectId: named.projectId ?? ofPath.projectId };
}

/** Ids of several things that one request has made. */
export function severalOfAnswer(result: unknown): readonly string[] {
  const body = bodyOf(result);
  const values = Object.values(body);
  const list = values.length === 1 && Array.isArray(values[0]) ? values[0] : [];
  return list.flatMap((one) => (isObject(one) && text(one.id) !== null ? [text(one.id)!] : []));
}

/** The body as an object; one that is text already is JSON if it is short. */
export function bodyOf(result: unknown): Readonly<Record<string, unknown>> {
  const body = result instanceof OpReply ? result.body : result;
  if (typeof body === 'string' && body.startsWith('{')) {
    try {
      return JSON.parse(body);
    } catch {
      return {};
    }
  }
  return isObject(body) ? body : {};
}

function lastPart({ path }: Operation): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function typeName(name: string): string {
  const plain = name.replace(/^os-/, '').replaceAll('_', '-').toLowerCase();
  return OTHER_NAMES[plain] ?? plain.replace(/^os-/, '');
}

function singular(name: string): string {
  if (name.endsWith('ies')) return `${name.slice(0, -3)}y`;
  return /[^s]s$/.test(name) ? name.slice(0, -1) : name;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : typeof value === 'number' ? `${value}` : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('pipe' in value);
}
