/**
 * What the first process of a machine does before it becomes systemd; arguments: the machine's root, the checkout. Of /proc/sys
 * only net may be written: the rest is the whole computer's.
 */
export const INIT_SCRIPT = `
root=$1 checkout=$2
hostname "$(cat "$root/etc/hostname")"
mount --bind "$root" "$root"
cd "$root"
mkdir -p .outside
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,ro,bind proc/sys
if [ -e proc/sysrq-trigger ]; then
  mount --bind proc/sysrq-trigger proc/sysrq-trigger
  mount -o remount,ro,bind proc/sysrq-trigger
fi
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
mkdir dev/pts dev/shm dev/net dev/mqueue
for node in null zero full random urandom tty fuse kvm net/tun; do
  [ -e "/dev/$node" ] || continue
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for pair in stdin:0 stdout:1 stderr:2; do ln -s "fd/\${pair#*:}" "dev/\${pair%:*}"; done
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs tmp
mkdir -p ".$checkout"
mount --bind "$checkout" ".$checkout"
mount -o remount,ro,bind ".$checkout"
pivot_root . .outside
umount -l /.outside
rmdir /.outside
# as systemd itself does outside containers: units see what is mounted later
mount --make-rshared /
exec env -i container=maru PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \\
  /lib/systemd/systemd --log-target=journal-or-kmsg --show-status=no
`;
