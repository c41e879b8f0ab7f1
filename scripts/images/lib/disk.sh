# shellcheck shell=bash
# Turns a directory into a disk that a BIOS boots: ext4 with extlinux.
# Needs loop devices; call it in a mount namespace of its own (unshare -m), so that nothing stays mounted.

# whole_disk TREE RAW SIZE_MB LABEL: one file system on the whole disk, without a partition table.
whole_disk() {
  local tree=$1 raw=$2 size=$3 label=$4
  rm -f "$raw"
  truncate -s "${size}M" "$raw"
  make_ext4 "$raw" "$label"
  fill "$tree" "$raw" 0
}

# partitioned_disk TREE RAW SIZE_MB LABEL: an MBR with one bootable partition from 1 MiB to the end.
partitioned_disk() {
  local tree=$1 raw=$2 size=$3 label=$4 mbr device
  rm -f "$raw"
  truncate -s "${size}M" "$raw"
  printf 'label: dos\nstart=2048, type=83, bootable\n' | sfdisk -q "$raw"
  mbr=$(boot_file mbr.bin)
  dd if="$mbr" of="$raw" bs=440 count=1 conv=notrunc status=none
  device=$(losetup --find --show --offset 1048576 "$raw") || die "losetup $raw failed (exit $?)"
  make_ext4 "$device" "$label" || { losetup -d "$device"; die "mke2fs on $device failed"; }
  losetup -d "$device"
  fill "$tree" "$raw" 1048576
}

# extlinux reads neither 64-bit nor checksummed file systems. The resize limit reserves room in the
# group descriptors for growing to 2 TB while mounted.
make_ext4() {
  mke2fs -q -F -t ext4 -b 4096 -m 1 -J size=8 -L "$2" \
    -O '^64bit,^metadata_csum,uninit_bg' -E resize=536870912,lazy_itable_init=1,discard "$1"
}

fill() {
  local tree=$1 raw=$2 offset=$3 mountpoint
  mountpoint=$(mktemp -d)
  mount -o "loop,offset=$offset" -t ext4 "$raw" "$mountpoint" || die "mount $raw failed (exit $?): are there loop devices?"
  # extlinux cannot install over files with holes.
  cp -a --sparse=never "$tree/." "$mountpoint/"
  extlinux --install "$mountpoint/boot" >/dev/null 2>&1 || die "extlinux --install failed (exit $?)"
  umount "$mountpoint"
  rmdir "$mountpoint"
}

# boot_file NAME: a file of the extlinux or syslinux package, wherever the distribution puts it.
boot_file() {
  local directory
  for directory in /usr/lib/EXTLINUX /usr/lib/syslinux/mbr /usr/lib/syslinux; do
    [ -f "$directory/$1" ] && { printf '%s\n' "$directory/$1"; return; }
  done
  die "$1 not found; run: apt-get install -y extlinux syslinux-common"
}
