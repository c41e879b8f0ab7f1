import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { thirdParty } from './licences.js';
import { productionModules } from './modules.js';

/** Folders of TypeScript whose compiled form is shipped. */
const COMPILED = ['src', 'agents', 'scripts/install.d', 'scripts/lab'];
/** Files that are shipped as they are; of folders, what is not TypeScript. */
const PLAIN = [
  'templates',
  'scripts/install',
  'scripts/install.d',
  'scripts/lib',
  'scripts/build-tiny-image',
  'scripts/images/lib',
  'scripts/images/tiny',
];
const NOT_SHIPPED = /\.ts$|(^|\/)README[^/]*\.md$|^templates\/debian\//;

/**
 * Fills a directory with what an installation has below /usr/lib/maru, but for Node itself: the compiled program, the modules that it
 * loads, templates, scripts, package.json with the version of this build, and the licences of what others wrote.
 */
function stage(options: { root: string; into: string; version: string; nodeLicence: string }): void {
  const { root, into, version } = options;
  for (const file of compiledFiles(root)) {
    // a map without the sources beside it is of no use
    const text = readFileSync(join(root, file), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n');
    put(into, file, text);
    if (text.startsWith('#!')) chmodSync(join(into, file), 0o755);
  }
  for (const file of PLAIN.flatMap((path) => filesAt(root, path)).filter((file) => !NOT_SHIPPED.test(file))) {
    copy(join(root, file), join(into, file));
  }
  const modules = productionModules(root);
  for (const module of modules) {
    for (const file of module.files)
      copy(join(root, module.path, file), join(into, module.path, file), 0o644);
  }
  put(into, 'package.json', packageJson(root, version));
  const node = { version: process.version, licence: options.nodeLicence };
  put(into, 'share/doc/maru/THIRD-PARTY', thirdParty(root, modules, node));
}

/** What tsc made of the sources that are there now: dist also keeps what it made of removed ones. */
function compiledFiles(root: string): string[] {
  return COMPILED.flatMap((folder) => filesAt(root, folder))
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
}

function packageJson(root: string, version: string): string {
  const { name, description, license, type, engines, dependencies } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, unknown>;
  const shipped = { name, version, description, license, private: true, type, engines, dependencies };
  return `${JSON.stringify(shipped, null, 2)}\n`;
}

function filesAt(root: string, path: string): string[] {
  const found = statSync(join(root, path), { throwIfNoEntry: false });
  if (!found?.isDirectory()) return found ? [path] : [];
  return readdirSync(join(root, path))
    .sort()
    .flatMap((name) => filesAt(root, `${path}/${name}`));
}

function put(into: string, file: string, content: string): void {
  mkdirSync(dirname(join(into, file)), { recursive: true });
  writeFileSync(join(into, file), content);
}

/** Copies the content only. Everybody may read it; what is a script can be run, unless the mode is given. */
function copy(from: string, to: string, mode?: number): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  const script = () => readFileSync(from).subarray(0, 2).toString('latin1') === '#!';
  chmodSync(to, mode ?? (script() ? 0o755 : 0o644));
}

const { values } = parseArgs({
  options: {
    root: { type: 'string' },
    into: { type: 'string' },
    version: { type: 'string' },
    'node-licence': { type: 'string' },
  },
});
const { root, into, version, 'node-licence': nodeLicence } = values;
if (!root || !into || !version || !nodeLicence)
  throw new Error('--root, --into, --version and --node-licence are needed');
stage({ root, into, version, nodeLicence });
