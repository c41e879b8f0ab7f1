import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { App } from '../../src/core/app.js';
import { bootstrapIdentity } from '../../src/core/identity/bootstrap.js';
import { createIdentity } from '../../src/core/identity/identity.js';
import { hashPassword, verifyPassword } from '../../src/core/identity/passwords.js';
import { FailureThrottle } from '../../src/core/identity/throttle.js';
import { decodePayload, encodePayload, type TokenPayload } from '../../src/core/token/payload.js';
import { updateUser } from '../../src/core/user/user.js';
import { endpoints } from '../../src/store/identity/catalog.js';
import { findProject } from '../../src/store/identity/projects.js';
import { findUser } from '../../src/store/identity/users.js';
import type { Store } from '../../src/store/store.js';
import { testConfig } from '../support/app.js';
import { forEachStore } from '../support/stores.js';

const directories: string[] = [];
function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'maru-identity-'));
  directories.push(directory);
  return directory;
}
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

function controller(store: Store, directory: string, publicUrl = 'http://127.0.0.1:5000') {
  const config = testConfig(directory, { public_url: publicUrl });
  const identity = createIdentity(config, store);
  return { config, store, identity } as unknown as App;
}

forEachStore('identity', (openStore, dialect) => {
  it('bootstraps once, adds services mounted later and follows the public URL', async () => {
    const store = await openStore();
    const directory = temporary();
    const app = controller(store, directory);
    await bootstrapIdentity(app, ['identity', 'compute']);
    const count = async () => ({
      users: (await store.read.selectFrom('user').select('id').execute()).length,
      roles: (await store.read.selectFrom('role').select('id').execute()).length,
      endpoints: (await endpoints.list(store.read)).length,
    });
    expect(await count()).toEqual({ users: 1, roles: 5, endpoints: 6 });
    await bootstrapIdentity(app, ['identity', 'compute']);
    expect(await count()).toEqual({ users: 1, roles: 5, endpoints: 6 });
    const [removed] = await endpoints.list(store.read);
    await app.identity.write((tx) => endpoints.remove(tx, removed!.id));
    await bootstrapIdentity(controller(store, directory, 'https://cloud.example'), [
      'identity',
      'compute',
      'volume',
    ]);
    expect(await count()).toEqual({ users: 1, roles: 5, endpoints: 11 });
    const urls = (await endpoints.list(store.read)).map((endpoint) => endpoint.url);
    expect(urls.every((url) => url.startsWith('https://cloud.example/'))).toBe(true);
  });

  it('makes the administrator’s password file when there is none', async () => {
    const app = controller(await openStore(), temporary());
    rmSync(app.config.admin_password_file);
    await bootstrapIdentity(app, ['identity']);
    expect(statSync(app.config.admin_password_file).mode & 0o777).toBe(0o600);
    const password = readFileSync(app.config.admin_password_file, 'utf8').trim();
    const admin = await findUser(app.store.read, 'default', 'admin');
    expect(await verifyPassword(admin!.password_hash, password, '127.0.0.1')).toBe(true);
  });

  it('revokes at every controller from the next request on', async () => {
    const store = await openStore();
    const directory = temporary();
    const first = controller(store, directory);
    await bootstrapIdentity(first, ['identity']);
    // SQLite allows one controller only
    const second = dialect === 'postgres' ? controller(store, directory) : first;
    const user = (await findUser(store.read, 'default', 'admin'))!;
    const project = (await findProject(store.read, 'default', 'admin'))!;
    const scope = { kind: 'project', id: project.id } as const;
    for (let round = 0; round < 20; round++) {
      const token = await first.identity.tokens.issue({ userId: user.id, methods: ['password'], scope });
      expect(await second.identity.tokens.validate(token!.text)).not.toBeNull();
      await first.identity.tokens.revokeToken(token!);
      expect(await second.identity.tokens.validate(token!.text)).toBeNull();
      expect(await first.identity.tokens.validate(token!.text)).toBeNull();
    }
    const token = await first.identity.tokens.issue({ userId: user.id, methods: ['password'], scope });
    await Promise.all(Array.from({ length: 50 }, () => second.identity.tokens.validate(token!.text)));
    await updateUser(first, user.id, { password: 'another' });
    expect(await second.identity.tokens.validate(token!.text)).toBeNull();
  });

  it('forgets revocations once their tokens have expired', async () => {
    const store = await openStore();
    const app = controller(store, temporary());
    await bootstrapIdentity(app, ['identity']);
    await store.tx(async (tx) => {
      const row = { kind: 'user', subject: 'u', issued_until: '2020', expires_at: '2020-01-01' } as const;
      await tx.insertInto('revocation').values(row).execute();
      await app.identity.tokens.revokeAll(tx, 'user', 'v');
    });
    await app.identity.tokens.housekeeping();
    const left = await store.read.selectFrom('revocation').select('subject').execute();
    expect(left).toEqual([{ subject: 'v' }]);
  });
});

describe('token texts', () => {
  const payload: TokenPayload = {
    methods: ['password', 'token'],
    userId: '0123456789abcdef0123456789abcdef',
    scope: { kind: 'project', id: 'default' },
    issuedAt: 1_790_000_000_123,
    expiresAt: 1_790_003_600,
    epoch: 4_000_000_000,
    auditIds: ['AAAAAAAAAAAAAAAAAAAAAA', 'BBBBBBBBBBBBBBBBBBBBBA'],
    applicationCredentialId: 'fedcba9876543210fedcba9876543210',
    trustId: null,
    accessTokenId: null,
  };

  it('carry their payload and stay short', () => {
    const variants: TokenPayload[] = [
      payload,
      { ...payload, scope: { kind: 'system' }, applicationCredentialId: null },
      { ...payload, scope: { kind: 'unscoped' }, auditIds: ['AAAAAAAAAAAAAAAAAAAAAA'] },
      { ...payload, scope: { kind: 'domain', id: payload.userId } },
      { ...payload, applicationCredentialId: null, trustId: '00112233445566778899aabbccddeeff' },
      { ...payload, epoch: null },
      { ...payload, applicationCredentialId: null, accessTokenId: '00112233445566778899aabbccddeeff' },
    ];
    const text = new Set<string>();
    for (const variant of variants) {
      text.add(encodePayload(variant).toString('base64url'));
      expect(decodePayload(encodePayload(variant))).toEqual(variant);
      // with the key's id and the signature
      expect(Math.ceil(((encodePayload(variant).length + 36) * 4) / 3)).toBeLessThan(255);
    }
    expect(text.size).toBe(variants.length);
  });
});

describe('passwords', () => {
  it('are argon2id as OWASP recommends, and a changed one is forgotten at once', async () => {
    const stored = await hashPassword('one');
    expect(stored).toMatch(/^\$argon2id\$v=19\$m=12288,t=3,p=1\$/);
    expect(await verifyPassword(stored, 'one', '127.0.0.1')).toBe(true);
    expect(await verifyPassword(stored, 'one', '127.0.0.1')).toBe(true);
    expect(await verifyPassword(stored, 'two', '127.0.0.1')).toBe(false);
    expect(await verifyPassword(await hashPassword('two'), 'one', '127.0.0.1')).toBe(false);
    expect(await verifyPassword(null, 'one', '127.0.0.1')).toBe(false);
  });

  it('are guessed ever more slowly, one attempt at a time', async () => {
    const delays: number[] = [];
    const throttle = new FailureThrottle(async (ms) => void delays.push(ms));
    let running = 0;
    const attempt = async () => {
      expect(++running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return false;
    };
    for (let i = 0; i < 5; i++) await throttle.run('key', attempt);
    expect(delays).toEqual([]);
    await Promise.all(Array.from({ length: 8 }, () => throttle.run('key', attempt)));
    expect(delays).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    expect(await throttle.run('other', async () => true)).toBe(true);
    expect(await throttle.run('key', async () => true)).toBe(true);
    await throttle.run('key', attempt);
    expect(delays).toHaveLength(8);
  });
});
