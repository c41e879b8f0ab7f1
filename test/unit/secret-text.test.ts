import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { netplanFile } from '../../agents/bridge/managers/netplan-files.js';
import { SpecStore } from '../../agents/spec-store.js';
import { loadIdentity } from '../../agents/transport/identity.js';
import { merged } from '../../scripts/install.d/config-file.js';
import { parsePolicies } from '../../src/core/policy/file.js';
import { readAuthorities } from '../../src/hosts/authority-files.js';
import { ConfigDocument } from '../../src/protocol/config/document.js';
import { parseSecretYaml } from '../../src/protocol/secret-text.js';
import { thrown } from '../support/thrown.js';

/** What cannot be read is told without what stands there: it may be a password or a key. */
describe('files with secrets that cannot be read', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'maru-secret-text-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const device = { bridge: 'br-ex', uplink: 'eth0', mac: '52:54:00:00:00:10', mtu: 1450 };
  const readers: readonly (readonly [string, (text: string) => unknown])[] = [
    ['a policy file', (text) => parsePolicies(text, 'policy.yaml')],
    ['the configuration that is installed over', (text) => merged(text, [])],
    ['a file of netplan', (text) => netplanFile({ ...device, path: 'x.yaml', text, first: true })],
  ];
  const texts = ['a: @hidden\n', 'a: |hidden\n  b\n', 'a: "\\xhidden"\n', 'a: *hidden\n'];

  it.each(readers.flatMap(([what, read]) => texts.map((text) => [what, text, read] as const)))(
    '%s: %j',
    (_what, text, read) => {
      const error = thrown(() => read(text));
      expect(error.message).toMatch(/line 1, column \d: not YAML \([A-Z_]+\)/);
      expect(everythingOf(error)).not.toContain('hidden');
    },
  );

  it('the configuration names the place and what is wrong', () => {
    for (const text of ['agent:\n  a: @hidden\n', 'agent:\n  a: "\\xhidden"\n']) {
      const { problems } = ConfigDocument.parse(text, 'maru.yaml');
      expect(problems[0]).toMatchObject({ line: 2, file: 'maru.yaml' });
      expect(JSON.stringify(problems)).not.toMatch(/hidden|xhidd/);
    }
  });

  it('JSON with keys', async () => {
    const text = '{"authorities": hidden}';
    await writeFile(join(directory, 'ca-1.json'), text);
    const files = { readFileIfExists: () => Promise.resolve(text) } as never;
    const errors = [
      await readAuthorities(directory).catch((error: Error) => error),
      await loadIdentity(files, directory, '').catch((error: Error) => error),
      new Error((await new SpecStore(files, directory, 0.5).load()) ?? ''),
    ];
    for (const error of errors) {
      expect((error as Error).message).toMatch(/\.json.*not JSON \(23 characters\)/);
      expect(everythingOf(error as Error)).not.toContain('hidden');
    }
  });

  it('what can be read is what YAML makes of it', () => {
    expect(parseSecretYaml('a: &x {b: 1}\nc: *x\nd: "@"\n')).toEqual({ a: { b: 1 }, c: { b: 1 }, d: '@' });
    expect(parseSecretYaml('')).toBeNull();
  });

  function everythingOf(error: Error): string {
    const cause = error.cause instanceof Error ? everythingOf(error.cause) : '';
    return `${error.message} ${error.stack} ${cause}`;
  }
});
