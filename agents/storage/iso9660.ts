import { type IsoDirectory, isoTree, type View } from './iso9660-tree.js';

const SECTOR = 2048;
const FIRST_DESCRIPTOR = 16;
/** Every time in the image: equal content gives equal bytes. */
const YEAR = 2000;

/**
 * An ISO 9660 file system with these files, as bytes. Names are readable by every system: Rock Ridge for Unix, Joliet for Windows,
 * capitals and 30 characters for the rest. Files are shared by the views.
 */
export function isoImage(label: string, files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const tree = isoTree(files);
  const views: readonly View[] = ['primary', 'joliet'];
  let next = FIRST_DESCRIPTOR + views.length + 1;
  const allocate = (bytes: number) => {
    const start = next;
    next += Math.ceil(bytes / SECTOR);
    return start;
  };
  const layouts = views.map((view) => {
    const directories = tree.directories.map((directory) => ({
      directory,
      size: directorySize(directory, view),
    }));
    const pathTableSize = pathTable(tree.directories, view, () => 0, 'LE').length;
    return {
      view,
      pathTableSize,
      littleEndian: allocate(pathTableSize),
      bigEndian: allocate(pathTableSize),
      extents: new Map(
        directories.map(({ directory, size }) => [directory, { start: allocate(size), size }]),
      ),
    };
  });
  const contents = new Map(
    tree.files.map((file) => [file, { start: allocate(file.data.length), size: file.data.length }]),
  );

  const image = Buffer.alloc(next * SECTOR);
  const put = (sector: number, bytes: Uint8Array) => image.set(bytes, sector * SECTOR);
  for (const [index, layout] of layouts.entries()) {
    const { view, extents } = layout;
    const at = (directory: IsoDirectory) => extents.get(directory) ?? NOWHERE;
    put(FIRST_DESCRIPTOR + index, volumeDescriptor(label, next, layout, record(SELF, at(tree.root), true)));
    put(
      layout.littleEndian,
      pathTable(tree.directories, view, (d) => at(d).start, 'LE'),
    );
    put(
      layout.bigEndian,
      pathTable(tree.directories, view, (d) => at(d).start, 'BE'),
    );
    for (const directory of tree.directories) {
      const records = [
        record(SELF, at(directory), true, view === 'primary' ? ownRockRidge(directory === tree.root) : []),
        record(
          PARENT,
          at(directory.parent ?? directory),
          true,
          view === 'primary' ? [rockRidgeMode(true)] : [],
        ),
        ...directory.entries(view).map(({ id, name, entry }) => {
          const isDirectory = entry.kind === 'directory';
          const extent = isDirectory ? at(entry) : (contents.get(entry) ?? NOWHERE);
          return record(
            id,
            extent,
            isDirectory,
            view === 'primary' ? [rockRidgeMode(isDirectory), rockRidgeName(name)] : [],
          );
        }),
      ];
      put(at(directory).start, packed(records));
    }
  }
  put(FIRST_DESCRIPTOR + views.length, Buffer.from('\xffCD001\x01', 'latin1'));
  for (const [file, { start }] of contents) put(start, file.data);
  return image;
}

interface Extent {
  readonly start: number;
  readonly size: number;
}

const NOWHERE: Extent = { start: 0, size: 0 };
const SELF = Buffer.from([0]);
const PARENT = Buffer.from([1]);

function directorySize(directory: IsoDirectory, view: View): number {
  const primary = view === 'primary';
  const records = [
    record(SELF, NOWHERE, true, primary ? ownRockRidge(directory.parent === null) : []),
    record(PARENT, NOWHERE, true, primary ? [rockRidgeMode(true)] : []),
    ...directory
      .entries(view)
      .map(({ id, name }) =>
        record(id, NOWHERE, false, primary ? [rockRidgeMode(false), rockRidgeName(name)] : []),
      ),
  ];
  return packed(records).length;
}

/** Records one after another, none across the border of two sectors, filled up to whole sectors. */
function packed(records: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [];
  let used = 0;
  for (const item of records) {
    if ((used % SECTOR) + item.length > SECTOR) {
      parts.push(Buffer.alloc(SECTOR - (used % SECTOR)));
      used += SECTOR - (used % SECTOR);
    }
    parts.push(item);
    used += item.length;
  }
  if (used % SECTOR) parts.push(Buffer.alloc(SECTOR - (used % SECTOR)));
  return Buffer.concat(parts);
}

/** A directory record: identifier, place, kind, and what Rock Ridge adds. */
function record(id: Buffer, extent: Extent, isDirectory: boolean, more: readonly Buffer[] = []): Buffer {
  const head = Buffer.alloc(33);
  both32(extent.start).copy(head, 2);
  both32(isDirectory ? Math.ceil(extent.size / SECTOR) * SECTOR : extent.size).copy(head, 10);
  Buffer.from([YEAR - 1900, 1, 1, 0, 0, 0, 0]).copy(head, 18);
  head[25] = isDirectory ? 2 : 0;
  both16(1).copy(head, 28);
  head[32] = id.length;
  const parts = [head, id, Buffer.alloc(id.length % 2 ? 0 : 1), ...more];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const whole = Buffer.concat([...parts, Buffer.alloc(length % 2)]);
  head[0] = whole.length;
  whole[0] = whole.length;
  return whole;
}

/** In the root, that says which extension is in use; in each directory, its mode. */
function ownRockRidge(isRoot: boolean): Buffer[] {
  if (!isRoot) return [rockRidgeMode(true)];
  const id = 'RRIP_1991A';
  const announced = Buffer.from([0x53, 0x50, 7, 1, 0xbe, 0xef, 0]);
  const extension = Buffer.concat([
    Buffer.from([0x45, 0x52, 8 + id.length, 1, id.length, 0, 0, 1]),
    Buffer.from(id),
  ]);
  return [announced, rockRidgeMode(true), extension];
}

function rockRidgeMode(isDirectory: boolean): Buffer {
  const mode = isDirectory ? 0o040555 : 0o100444;
  return Buffer.concat([Buffer.from([0x50, 0x58, 36, 1]), both32(mode), both32(1), both32(0), both32(0)]);
}

function rockRidgeName(name: string): Buffer {
  const bytes = Buffer.from(name);
  return Buffer.concat([Buffer.from([0x4e, 0x4d, 5 + bytes.length, 1, 0]), bytes]);
}

/** All directories with the number of their parent; they come in the order that the format asks for. */
function pathTable(
  directories: readonly IsoDirectory[],
  view: View,
  start: (directory: IsoDirectory) => number,
  endian: 'LE' | 'BE',
): Buffer {
  const parts = directories.map((directory) => {
    const id = directory.parent ? directory.id(view) : SELF;
    const entry = Buffer.alloc(8 + id.length + (id.length % 2));
    const parent = directory.parent ? directories.indexOf(directory.parent) + 1 : 1;
    entry[0] = id.length;
    entry[`writeUInt32${endian}`](start(directory), 2);
    entry[`writeUInt16${endian}`](parent, 6);
    id.copy(entry, 8);
    return entry;
  });
  return Buffer.concat(parts);
}

function volumeDescriptor(
  label: string,
  sectors: number,
  layout: { view: View; pathTableSize: number; littleEndian: number; bigEndian: number },
  root: Buffer,
): Buffer {
  const joliet = layout.view === 'joliet';
  const text = (value: string, length: number) =>
    joliet
      ? ucs2(value.padEnd(length >> 1).slice(0, length >> 1))
      : Buffer.from(value.padEnd(length).slice(0, length));
  const sector = Buffer.alloc(SECTOR);
  sector[0] = joliet ? 2 : 1;
  sector.write('CD001\x01', 1, 'latin1');
  text('', 32).copy(sector, 8);
  text(label, 32).copy(sector, 40);
  both32(sectors).copy(sector, 80);
  if (joliet) sector.write('%/E', 88, 'latin1');
  both16(1).copy(sector, 120);
  both16(1).copy(sector, 124);
  both16(SECTOR).copy(sector, 128);
  both32(layout.pathTableSize).copy(sector, 132);
  sector.writeUInt32LE(layout.littleEndian, 140);
  sector.writeUInt32BE(layout.bigEndian, 148);
  root.copy(sector, 156);
  for (const offset of [190, 318, 446, 574]) text('', 128).copy(sector, offset);
  for (const offset of [702, 739, 776]) text('', 37).copy(sector, offset);
  for (const offset of [813, 830, 864]) sector.write(`${YEAR}010100000000`, offset, 'latin1');
  sector.write('0'.repeat(16), 847, 'latin1');
  sector[881] = 1;
  return sector;
}

/** Numbers stand in both byte orders. */
function both32(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  bytes.writeUInt32BE(value, 4);
  return bytes;
}

function both16(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(value, 0);
  bytes.writeUInt16BE(value, 2);
  return bytes;
}

function ucs2(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16();
}
