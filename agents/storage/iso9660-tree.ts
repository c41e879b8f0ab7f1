/** Two ways in which the same files are named: capitals and few characters, or Unicode. */
export type View = 'primary' | 'joliet';

export interface IsoFile {
  readonly kind: 'file';
  readonly name: string;
  readonly data: Buffer;
}

/** A directory and what is in it. */
export class IsoDirectory {
  readonly kind = 'directory';
  readonly name: string;
  readonly parent: IsoDirectory | null;
  readonly children = new Map<string, IsoFile | IsoDirectory>();

  constructor(name: string, parent: IsoDirectory | null) {
    this.name = name;
    this.parent = parent;
  }

  /** Its identifier in a view. */
  id(view: View): Buffer {
    return identifier(this.name, view, 'directory');
  }

  /** Its entries in the order of a view's identifiers. */
  entries(
    view: View,
  ): readonly { readonly id: Buffer; readonly name: string; readonly entry: IsoFile | IsoDirectory }[] {
    return [...this.children.values()]
      .map((entry) => ({ id: identifier(entry.name, view, entry.kind), name: entry.name, entry }))
      .sort((a, b) => a.id.compare(b.id));
  }
}

/** The files by path as a tree; its directories level by level, as path tables list them. */
export function isoTree(files: Readonly<Record<string, string | Uint8Array>>): {
  readonly root: IsoDirectory;
  readonly directories: readonly IsoDirectory[];
  readonly files: readonly IsoFile[];
} {
  const root = new IsoDirectory('', null);
  const all: IsoFile[] = [];
  for (const [path, content] of Object.entries(files)) {
    const parts = path.split('/');
    const name = parts.pop() ?? '';
    let directory = root;
    for (const part of parts) {
      const found = directory.children.get(part) ?? new IsoDirectory(part, directory);
      if (found.kind === 'file') throw new Error(`${path}: ${part} is a file`);
      directory.children.set(part, found);
      directory = found;
    }
    const file: IsoFile = { kind: 'file', name, data: Buffer.from(content) };
    directory.children.set(name, file);
    all.push(file);
  }
  const directories = [root];
  // grows while it is walked: so come the levels one after another
  for (const directory of directories) {
    for (const { entry } of directory.entries('primary'))
      if (entry.kind === 'directory') directories.push(entry);
  }
  return { root, directories, files: all };
}

function identifier(name: string, view: View, kind: 'file' | 'directory'): Buffer {
  if (view === 'joliet') return Buffer.from(name.slice(0, 64), 'utf16le').swap16();
  const dot = kind === 'file' ? name.lastIndexOf('.') : -1;
  const clean = (text: string, length: number) =>
    text
      .toUpperCase()
      .replace(/[^A-Z0-9_]/g, '_')
      .slice(0, length);
  if (kind === 'directory') return Buffer.from(clean(name, 31));
  const stem = dot < 0 ? name : name.slice(0, dot);
  const extension = dot < 0 ? '' : name.slice(dot + 1);
  return Buffer.from(`${clean(stem, 22)}.${clean(extension, 7)};1`);
}
