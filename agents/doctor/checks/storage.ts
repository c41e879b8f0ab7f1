import { type Check, check, quote, warning, wrong } from '../check.js';

const FULL = 97;
const NEARLY_FULL = 85;
const LEAST_FREE = 256 * 1024 ** 2;
const INODES_FULL = 95;
/** MiB that a host needs for itself. */
const LEAST_MEMORY = 1_900;

function size(bytes: number): string {
  const gib = bytes / 1024 ** 3;
  return gib >= 10
    ? `${Math.round(gib)} GiB`
    : gib >= 1
      ? `${gib.toFixed(1)} GiB`
      : `${Math.round(bytes / 1024 ** 2)} MiB`;
}

/** Room on disks and in memory. */
export const storageChecks: readonly Check[] = [
  check({
    id: 'disk-full',
    title: 'File systems have room',
    roles: ['host', 'controller'],
    needs: ['fileSystems'],
    find: ({ fileSystems }) =>
      fileSystems.flatMap(({ path, mount, used, free, bytes, readOnly }) => {
        if (readOnly || bytes === 0) return [];
        const full = used >= FULL || (free < LEAST_FREE && used >= NEARLY_FULL);
        if (!full && used < NEARLY_FULL) return [];
        const say = full ? wrong : warning;
        return [
          say(
            `${mount} (with ${path}) is ${used} % full: ${size(free)} of ${size(bytes)} are free`,
            'at 100 % guests pause at their next write, and specifications and the database are not taken any more',
            `du -xh -d 2 ${quote(mount)} 2>/dev/null | sort -h | tail -n 15`,
            ...(path.includes('/maru') ? ['maru cleanup'] : []),
            'journalctl --vacuum-size=200M',
          ),
        ];
      }),
  }),
  check({
    id: 'inodes-full',
    title: 'File systems have room for files',
    roles: ['host', 'controller'],
    needs: ['fileSystems'],
    find: ({ fileSystems }) =>
      fileSystems
        .filter(({ inodesUsed, readOnly }) => inodesUsed >= INODES_FULL && !readOnly)
        .map(({ path, mount, inodesUsed }) =>
          wrong(
            `${mount} (with ${path}) has used ${inodesUsed} % of its inodes`,
            'no file can be made there, however much room df shows',
            `du -x --inodes -d 3 ${quote(mount)} 2>/dev/null | sort -n | tail -n 15`,
          ),
        ),
  }),
  check({
    id: 'read-only-file-system',
    title: 'File systems can be written to',
    roles: ['host', 'controller'],
    needs: ['fileSystems'],
    find: ({ fileSystems }) =>
      fileSystems
        .filter(({ readOnly }) => readOnly)
        .map(({ path, mount, source }) =>
          wrong(
            `${mount} (with ${path}, on ${source}) is mounted read-only`,
            'nothing can be kept there; a kernel makes a damaged file system read-only',
            `dmesg | grep -iE 'I/O error|EXT4-fs error|XFS.*(shutdown|corrupt)' | tail`,
            `mount -o remount,rw ${quote(mount)}`,
            `# if that is refused: an fsck of ${source} from a rescue system`,
          ),
        ),
  }),
  check({
    id: 'memory-overcommitted',
    title: 'Guests fit into memory',
    roles: ['host'],
    needs: ['memory'],
    find: ({ memory: { guests, total } }) => {
      if (guests === null || guests <= total) return [];
      return [
        wrong(
          `Running guests may use ${guests} MiB, and this machine has ${total} MiB`,
          'when they do, the kernel swaps, or ends one of them (dmesg: Out of memory)',
          'virsh list && virsh domstats --balloon --list-running',
          '# stop or move guests; lower controller.ram_allocation_ratio to 1 for those to come',
        ),
      ];
    },
  }),
  check({
    id: 'little-memory',
    title: 'There is enough memory',
    roles: ['host'],
    needs: ['memory'],
    find: ({ memory: { total, available } }, { phase }) => {
      if (phase === 'before') {
        if (total >= LEAST_MEMORY) return [];
        const what = `This machine has ${total} MiB of memory`;
        return [warning(what, 'a host takes about 1 GiB for itself: hardly a guest fits beside it')];
      }
      if (available >= total * 0.03) return [];
      return [
        wrong(
          `${available} of ${total} MiB of memory are available`,
          'the kernel will end something soon, often the largest guest (dmesg: Out of memory)',
          'ps -eo pid,rss,args --sort=-rss | head -n 15',
        ),
      ];
    },
  }),
  check({
    id: 'swapping',
    title: 'Guests are not swapped out',
    roles: ['host'],
    needs: ['memory'],
    find: ({ memory: { swapTotal, swapFree } }) => {
      const used = swapTotal - swapFree;
      if (swapTotal === 0 || used < 256 || used < swapTotal / 4) return [];
      return [
        warning(
          `${used} of ${swapTotal} MiB of swap are in use`,
          'guests whose memory is on disk are slow, and their clocks and heartbeats jump',
          `ps -eo pid,rss,args --sort=-rss | head -n 15`,
          'sysctl -w vm.swappiness=1',
        ),
      ];
    },
  }),
];
