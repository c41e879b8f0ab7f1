import { projects } from '../../store/identity/projects.js';
import { isRevoked } from '../../store/identity/tokens.js';
import { users } from '../../store/identity/users.js';
import type { App } from '../app.js';
import { MaruError } from '../errors.js';
import { factorRules } from '../user/factors.js';
import { unauthorized } from './methods/method.js';
import { isMethod } from './methods/methods.js';
import { timeText } from './times.js';

/** First byte of what is signed: tokens begin with another. */
const FORMAT = 0x52;

/** What a receipt says: its holder has proved to be the user by these methods, and needs more for a token. */
export interface Receipt {
  readonly userId: string;
  readonly methods: readonly string[];
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** Seconds since 1970. */
  readonly expiresAt: number;
  /** Identity's epoch when the proof began. */
  readonly epoch: number;
}

/** A receipt for the methods that succeeded, in a request that began at that epoch: its text, and the reply that tells which would do. */
export async function issueReceipt(app: App, userId: string, methods: readonly string[], epoch: number) {
  const user = await users.get(app.store.read, userId);
  const domain = user && (await projects.get(app.store.read, user.domain_id));
  if (!user || !domain) throw unauthorized();
  const issuedAt = Date.now();
  const expiresAt = Math.floor(issuedAt / 1000) + Math.ceil(app.config.auth_receipt_lifetime);
  const content = JSON.stringify({ userId, methods, issuedAt, expiresAt, epoch } satisfies Receipt);
  const text = await app.identity.receipts.sign(Buffer.concat([Buffer.from([FORMAT]), Buffer.from(content)]));
  return {
    text,
    body: {
      receipt: {
        methods,
        user: { id: user.id, name: user.name, domain: { id: domain.id, name: domain.name } },
        expires_at: timeText(expiresAt * 1000),
        issued_at: timeText(issuedAt),
      },
      required_auth_methods: factorRules(user, isMethod).filter((rule) =>
        rule.some((method) => methods.includes(method)),
      ),
    },
  };
}

/** What a receipt says; 401 when it is none, has expired, or what it was got with no longer holds. */
export async function readReceipt(app: App, text: string): Promise<Receipt> {
  await app.identity.tokens.followKeys();
  const bytes = await app.identity.receipts.verify(text);
  if (bytes?.[0] !== FORMAT) throw refused();
  const receipt = JSON.parse(bytes.subarray(1).toString('utf8')) as Receipt;
  if (receipt.expiresAt * 1000 <= Date.now()) throw refused();
  const issued = { time: new Date(receipt.issuedAt).toISOString(), epoch: receipt.epoch ?? null };
  if (await isRevoked(app.store.read, issued, [['user', receipt.userId]])) throw refused();
  return receipt;
}

function refused(): MaruError {
  return new MaruError('unauthorized', 'Could not find auth receipt.');
}
