/** What a token's text carries; everything else is looked up when the token is used. */
export interface TokenPayload {
  readonly methods: readonly AuthMethod[];
  readonly userId: string;
  readonly scope: TokenScope;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Whole seconds since 1970. */
  readonly expiresAt: number;
  /** Identity's epoch when its proof began; null in tokens of releases that had none. */
  readonly epoch: number | null;
  /** The token's own audit id, then that of the first of its chain of rescoped tokens. */
  readonly auditIds: readonly [string] | readonly [string, string];
  readonly applicationCredentialId: string | null;
  readonly trustId: string | null;
  /** The OAuth1 access token by which a consumer acts. */
  readonly accessTokenId: string | null;
}

export type TokenScope =
  | { readonly kind: 'unscoped' }
  | { readonly kind: 'project'; readonly id: string }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system' };

/** Their order is that of the bits in tokens: only add at the end, eight at most. */
const METHODS = [
  'password',
  'token',
  'application_credential',
  'totp',
  'oauth1',
  'ec2credential',
  'external',
] as const;
export type AuthMethod = (typeof METHODS)[number];

const SCOPES = ['unscoped', 'project', 'domain', 'system'] as const;
/** With the epoch, and as it was before. */
const FORMAT = 2;
const FORMAT_WITHOUT_EPOCH = 1;
const HAS_PARENT = 0x10;
const HAS_APPLICATION_CREDENTIAL = 0x20;
const HAS_TRUST = 0x40;
const HAS_ACCESS_TOKEN = 0x80;
const AUDIT_BYTES = 16;

/** Packs a payload into about 76 bytes. */
export function encodePayload(payload: TokenPayload): Buffer {
  const { scope, auditIds, applicationCredentialId, trustId, accessTokenId } = payload;
  let methods = 0;
  for (const method of payload.methods) methods |= 1 << METHODS.indexOf(method);
  let flags = SCOPES.indexOf(scope.kind);
  if (auditIds[1] !== undefined) flags |= HAS_PARENT;
  if (applicationCredentialId !== null) flags |= HAS_APPLICATION_CREDENTIAL;
  if (trustId !== null) flags |= HAS_TRUST;
  if (accessTokenId !== null) flags |= HAS_ACCESS_TOKEN;
  const times = Buffer.alloc(payload.epoch === null ? 11 : 17);
  times.writeUIntBE(payload.issuedAt, 0, 6);
  times.writeUIntBE(payload.expiresAt, 6, 5);
  if (payload.epoch !== null) times.writeUIntBE(payload.epoch, 11, 6);
  return Buffer.concat([
    Buffer.from([payload.epoch === null ? FORMAT_WITHOUT_EPOCH : FORMAT, methods, flags]),
    packId(payload.userId),
    'id' in scope ? packId(scope.id) : Buffer.alloc(0),
    applicationCredentialId === null ? Buffer.alloc(0) : packId(applicationCredentialId),
    trustId === null ? Buffer.alloc(0) : packId(trustId),
    accessTokenId === null ? Buffer.alloc(0) : packId(accessTokenId),
    times,
    ...auditIds.map((id) => Buffer.from(id, 'base64url')),
  ]);
}

/** Undoes `encodePayload`; null for bytes that it did not make. */
export function decodePayload(bytes: Buffer): TokenPayload | null {
  try {
    return new Reader(bytes).payload();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  payload(): TokenPayload {
    const [format, methods, flags] = this.#take(3) as unknown as [number, number, number];
    if (format !== FORMAT && format !== FORMAT_WITHOUT_EPOCH) throw new RangeError(`token format ${format}`);
    const kind = SCOPES[flags & 0x0f];
    const userId = this.#id();
    const scope: TokenScope =
      kind === 'project' || kind === 'domain'
        ? { kind, id: this.#id() }
        : kind === 'system'
          ? { kind }
          : { kind: 'unscoped' };
    const applicationCredentialId = flags & HAS_APPLICATION_CREDENTIAL ? this.#id() : null;
    const trustId = flags & HAS_TRUST ? this.#id() : null;
    const accessTokenId = flags & HAS_ACCESS_TOKEN ? this.#id() : null;
    const issuedAt = this.#take(6).readUIntBE(0, 6);
    const expiresAt = this.#take(5).readUIntBE(0, 5);
    const epoch = format === FORMAT ? this.#take(6).readUIntBE(0, 6) : null;
    const own = this.#take(AUDIT_BYTES).toString('base64url');
    const auditIds: TokenPayload['auditIds'] =
      flags & HAS_PARENT ? [own, this.#take(AUDIT_BYTES).toString('base64url')] : [own];
    if (this.#at !== this.#bytes.length) throw new RangeError('token has trailing bytes');
    return {
      methods: METHODS.filter((_, bit) => methods & (1 << bit)),
      userId,
      scope,
      issuedAt,
      expiresAt,
      epoch,
      auditIds,
      applicationCredentialId,
      trustId,
      accessTokenId,
    };
  }

  #take(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw new RangeError('token is too short');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #id(): string {
    const length = this.#take(1)[0]!;
    return length === 0 ? this.#take(16).toString('hex') : this.#take(length).toString('utf8');
  }
}

/** Ids are UUIDs in 32 hexadecimal digits, which take 16 bytes; others are text with its length. */
function packId(id: string): Buffer {
  if (/^[0-9a-f]{32}$/.test(id)) return Buffer.concat([Buffer.from([0]), Buffer.from(id, 'hex')]);
  const text = Buffer.from(id, 'utf8');
  if (text.length === 0 || text.length > 64) throw new Error(`an id of ${text.length} bytes fits no token`);
  return Buffer.concat([Buffer.from([text.length]), text]);
}
