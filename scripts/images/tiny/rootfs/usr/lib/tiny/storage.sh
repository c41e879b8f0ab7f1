# shellcheck shell=dash disable=SC2034,SC2154,SC3045 # busybox's shell; variables are shared with boot
# Disks: drivers, names and permissions of the device nodes, growing the root file system.

# Loads what the PCI and virtio buses announce. The kernel has no helper process, so this is done by hand
# once at boot; devices plugged in later are handled by hotplug-daemon.
load_drivers() {
	cat /sys/bus/pci/devices/*/modalias /sys/bus/virtio/devices/*/modalias 2>/dev/null | sort -u | xargs modprobe -abq 2>/dev/null
	modprobe -aq sd_mod sr_mod 2>/dev/null
	name_disks
}

name_disks() {
	for disk in /sys/block/vd* /sys/block/sd* /sys/block/sr*; do
		[ ! -e "$disk" ] || name_disk "${disk##*/}"
	done
}

# name_disk vdb: members of group disk may read it, and /dev/disk/by-id shows its serial number.
name_disk() {
	case $1 in sr*) group=cdrom ;; *) group=disk ;; esac
	chgrp "$group" "/dev/$1"
	chmod 0660 "/dev/$1"
	serial=
	[ -r "/sys/block/$1/serial" ] && read -r serial <"/sys/block/$1/serial"
	if [ -n "$serial" ]; then
		mkdir -p /dev/disk/by-id
		ln -sf "../../$1" "/dev/disk/by-id/virtio-$serial"
	fi
}

# The image is a few score megabytes; the flavor's disk is larger.
grow_root() {
	root=$(awk '$2 == "/" && $3 == "ext4" { print $1 }' /proc/mounts)
	[ -b "$root" ] || return 0
	before=$(df -m / | awk 'NR == 2 { print $2 }')
	size=$(($(cat "/sys/block/${root##*/}/size") / 2048))
	[ "$size" -gt $((before + before / 8 + 32)) ] || return 0
	if output=$(resize2fs "$root" 2>&1); then
		echo "tiny: root file system on $root grown from $before to $(df -m / | awk 'NR == 2 { print $2 }') MB"
	else
		echo "tiny: resize2fs $root failed: $output"
	fi
}

# The power button must shut the guest down: its driver, the event device, and a daemon that listens.
power_button() {
	modprobe -aq button evdev
	acpid -l /dev/null
}
