import { hostAddress, type LabNames, labFiles } from './names.js';

/** What the daemons of one lab host read, by path below its directory. */
export function hostConfiguration(
  lab: LabNames,
  host: string,
  uuid: string,
  hosts: readonly string[],
): Record<string, string> {
  const address = hostAddress(host);
  return {
    'etc-libvirt/libvirtd.conf': `unix_sock_group = "root"
auth_unix_rw = "none"
auth_unix_ro = "none"
listen_tls = 0
listen_tcp = 1
listen_addr = "${address}"
auth_tcp = "none"
host_uuid = "${uuid}"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
`,
    // in a lab host the namespaces separate, not users, cgroups or a security module
    'etc-libvirt/qemu.conf': `user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
seccomp_sandbox = 0
migration_address = "${address}"
migration_host = "${host}"
`,
    'etc-libvirt/virtlogd.conf': '',
    'etc-libvirt/libvirt.conf': '',
    'machine-id': `${uuid.replaceAll('-', '')}\n`,
    hosts: ['127.0.0.1 localhost', ...hosts.map((name) => `${hostAddress(name)} ${name}`), ''].join('\n'),
    'init.sh': initScript(lab, host),
  };
}

/**
 * The first process of a lab host: private mounts, then the daemons, started again when they end, as an init system would. bash
 * reaps orphans; with an init that does not, each of libvirt's QEMU probes leaves a zombie and libvirt waits for it.
 */
function initScript(lab: LabNames, host: string): string {
  const files = labFiles(lab);
  const own = files.hostDirectory(host);
  return `set -eu
hostname ${host}
mount --bind ${own} ${files.hostMount}
# else this host would keep the machine's namespaces, and those of other labs, alive after their end
umount -R -l /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/netns /run/libvirt /run/lock
# as the first \`ip netns add\` would make it
mount --bind /run/netns /run/netns
mount --make-shared /run/netns
bind() { if [ -e "$2" ]; then mount --bind "$1" "$2"; fi; }
bind ${own}/etc-libvirt /etc/libvirt
bind ${own}/lib-libvirt /var/lib/libvirt
bind ${own}/log-libvirt /var/log/libvirt
bind ${own}/cache-libvirt /var/cache/libvirt
bind ${own}/machine-id /etc/machine-id
bind ${own}/hosts /etc/hosts
keep() {
  while :; do
    "$@" || true
    echo "$1 ended" >&2
    sleep 1
  done
}
keep virtlogd &
keep libvirtd --listen &
wait
`;
}

/** Directories that exist in each host's directory. */
export const HOST_DIRECTORIES = [
  'etc-libvirt/qemu',
  'lib-libvirt',
  'log-libvirt',
  'cache-libvirt',
  'agent',
] as const;
