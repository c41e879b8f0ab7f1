import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A package of node_modules that the program loads when it runs. */
export interface ModulePackage {
  /** Its directory relative to the root: node_modules/fastify. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  /** Files to ship, relative to its directory. */
  readonly files: readonly string[];
}

interface Locked {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** Needed while a package is installed by npm, and by nothing that runs. */
const INSTALL_ONLY: Readonly<Record<string, readonly string[]>> = { 'better-sqlite3': ['prebuild-install'] };

/** Packages whose sources are most of them: only these paths are shipped. */
const ONLY: Readonly<Record<string, RegExp>> = {
  'better-sqlite3': /^(lib\/|package\.json$|licen[cs]e|build\/Release\/better_sqlite3\.node$)/i,
};

/** Not loaded by a running program: tests, sources of what was compiled, types, maps, documentation. */
const LEFT_OUT_FILE =
  /((^|\/)\.[^/]+(\/.*)?|\.test\.[cm]?js|\.(ts|mts|cts|map|md|markdown|flow|tsbuildinfo|ya?ml|c|cc|cpp|h|hpp|gyp|gypi|sh|lock|patch))$/i;
const LEFT_OUT_TOP =
  /^(tests?|__tests__|docs?|examples?|benchmarks?|bench|coverage|types|fuzz|integration|man|bin|scripts|Makefile|rollup\.config.*|karma.*|.*\.config\.[cm]?js|browser\.js|bin\.[cm]?js|index\.html)$/i;
const LICENCE = /^(licen[cs]e|copying|notice)/i;

/** The packages that production dependencies reach, as locked and installed, in order of their paths. */
export function productionModules(root: string): ModulePackage[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>;
  };
  const found = new Set<string>();
  const visit = (path: string) => {
    const { dependencies = {}, optionalDependencies = {} } = packages[path] ?? {};
    const skipped = INSTALL_ONLY[packageName(path)] ?? [];
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      if (skipped.includes(name)) continue;
      const target = resolve(packages, path, name);
      const there = target !== null && existsSync(join(root, target, 'package.json'));
      if (!there && name in optionalDependencies) continue;
      if (!there) throw new Error(`${path || 'package.json'} needs ${name}, which is not installed: npm ci`);
      if (found.has(target)) continue;
      found.add(target);
      visit(target);
    }
  };
  visit('');
  return [...found].sort().map((path) => ({
    path,
    name: packageName(path),
    version: packages[path]?.version ?? '',
    files: shippedFiles(join(root, path), packageName(path)),
  }));
}

/** Where Node finds a package: in node_modules of the one that asks, or of those around it. */
function resolve(packages: Readonly<Record<string, Locked>>, from: string, name: string): string | null {
  for (let base = from; ; base = base.replace(/(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/, '')) {
    const path = `${base ? `${base}/` : ''}node_modules/${name}`;
    if (packages[path]) return path;
    if (base === '') return null;
  }
}

function packageName(path: string): string {
  return path.split('node_modules/').at(-1) ?? '';
}

function shippedFiles(directory: string, name: string): string[] {
  const main = (JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { main?: string }).main;
  return filesBelow(directory)
    .filter((file) => {
      if (ONLY[name]) return ONLY[name].test(file);
      const top = file.split('/')[0] ?? '';
      if (file === 'package.json' || LICENCE.test(top)) return true;
      return (
        !LEFT_OUT_FILE.test(file) && (!LEFT_OUT_TOP.test(top) || main?.replace(/^\.\//, '').startsWith(top))
      );
    })
    .sort();
}

function filesBelow(directory: string, prefix = ''): string[] {
  return readdirSync(join(directory, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesBelow(directory, path);
    return entry.isFile() ? [path] : [];
  });
}
