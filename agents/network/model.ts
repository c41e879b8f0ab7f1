import type { ObjectError } from '../../src/protocol/messages.js';
import type { ObjectBodies, ObjectKey, ObjectKind, Spec } from '../../src/protocol/objects.js';
import { CommandError } from '../host/host.js';

/** Owner of what no single object is responsible for: base tables, sysctls, dispatch chains. */
export const SHARED: ObjectKey = 'network/*';

/** One change that a diff asks for, in the words an operator reads in a plan. */
export interface Step {
  readonly object: ObjectKey;
  readonly action: string;
  readonly detail: string;
}

/** A line of an `ip -batch` or `bridge -batch`, and whose failure it is when it fails. */
export interface BatchLine {
  readonly line: string;
  readonly object: ObjectKey;
  /** A line that an older kernel may refuse without harm. */
  readonly optional?: boolean;
}

/** All objects of one kind in a spec, with their keys; tombstones count as absent. */
export function objectsOf<K extends ObjectKind>(
  spec: Spec,
  kind: K,
): { readonly key: ObjectKey; readonly revision: string; readonly body: ObjectBodies[K] }[] {
  const found = [];
  for (const key in spec) {
    if (!key.startsWith(`${kind}/`)) continue;
    const object = spec[key as ObjectKey]!;
    if (object.tombstone) continue;
    found.push({ key: key as ObjectKey, revision: object.revision, body: object.body as ObjectBodies[K] });
  }
  return found;
}

/** One object of a spec, or undefined. */
export function objectOf<K extends ObjectKind>(spec: Spec, kind: K, id: string): ObjectBodies[K] | undefined {
  const object = spec[`${kind}/${id}`];
  return object && !object.tombstone ? (object.body as ObjectBodies[K]) : undefined;
}

/** What went wrong in one apply, per object; the first error of an object is kept, as later ones follow from it. */
export class Failures {
  readonly #errors = new Map<ObjectKey, ObjectError>();
  readonly #blocked = new Set<ObjectKey>();

  /** The object's ports are to stay closed. */
  add(object: ObjectKey, error: ObjectError): void {
    this.addPartial(object, error);
    this.#blocked.add(object);
  }

  /** Something of the object is missing, the rest of it works. */
  addPartial(object: ObjectKey, error: ObjectError): void {
    if (!this.#errors.has(object)) this.#errors.set(object, error);
  }

  /** Records a thrown error; hints come from the caller or from well-known messages. */
  addThrown(object: ObjectKey, error: unknown, hint?: string): void {
    this.add(object, toObjectError(error, hint));
  }

  /** Whether the object's ports are to stay closed. */
  blocks(object: ObjectKey): boolean {
    return this.#blocked.has(object);
  }

  /** The same as a filter; undefined when there is nothing to leave out. */
  get blocked(): ((object: ObjectKey) => boolean) | undefined {
    return this.#blocked.size ? (object) => this.#blocked.has(object) : undefined;
  }

  get(object: ObjectKey): ObjectError | undefined {
    return this.#errors.get(object);
  }

  keys(): ObjectKey[] {
    return [...this.#errors.keys()];
  }
}

/** An error as reports carry it: command, exit code, stderr and, where one is known, what to do. */
export function toObjectError(error: unknown, hint?: string): ObjectError {
  if (!(error instanceof CommandError)) {
    return { message: error instanceof Error ? error.message : String(error), ...(hint ? { hint } : {}) };
  }
  const known = hint ?? hintFor(error.stderr);
  return {
    message: error.message,
    command: error.command,
    exit_code: error.exitCode,
    stderr: error.stderr,
    ...(known ? { hint: known } : {}),
  };
}

/** What an operator can do about messages that have one cause. */
export function hintFor(stderr: string): string | undefined {
  return HINTS.find(([pattern]) => pattern.test(stderr))?.[1];
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /Unknown device type/,
    'The kernel has no such device type: load its module (modprobe vxlan, 8021q …) or install a kernel that has it.',
  ],
  [
    /Cannot open network namespace/,
    'The namespace was removed by hand: the next full synchronisation makes it again.',
  ],
  [
    /Couldn't load match|Couldn't load target/,
    'An iptables extension is missing: install the full iptables package.',
  ],
  [/Operation not permitted|Permission denied/, 'The agent needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN.'],
  [/ENOENT|not found/, 'The command is not installed: see the packages that the installation script lists.'],
];
