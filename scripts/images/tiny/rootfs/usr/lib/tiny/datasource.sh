# shellcheck shell=dash disable=SC2034,SC2154,SC3045 # busybox's shell; variables are shared with boot
# Where the instance's data comes from: a config drive, or the metadata service. Both leave
# meta_data.json, user_data and (config drive) network_data.json in /run/tiny/data, and meta, which is
# meta_data.json flattened (see json.awk).

DATA=/run/tiny/data
SERVICE=http://169.254.169.254

# config_drive DISK...: looks for a disk or CD labelled config-2 (ISO 9660 at 32808, FAT16 at 43, FAT32 at 71).
config_drive() {
	for disk; do
		[ -b "$disk" ] || continue
		case $(label_at "$disk" 32808 16; label_at "$disk" 43 11; label_at "$disk" 71 11) in
			*config-2* | *CONFIG-2*) ;;
			*) continue ;;
		esac
		mkdir -p /run/tiny/drive
		modprobe -aq isofs vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8 2>/dev/null
		mount -t iso9660 -o ro "$disk" /run/tiny/drive 2>/dev/null || mount -t vfat -o ro "$disk" /run/tiny/drive || continue
		for name in meta_data.json user_data network_data.json; do
			[ ! -e "/run/tiny/drive/openstack/latest/$name" ] || cp "/run/tiny/drive/openstack/latest/$name" "$DATA/$name"
		done
		umount /run/tiny/drive
		flatten_meta && return 0
		say "config drive $disk has no valid openstack/latest/meta_data.json"
	done
	return 1
}

flatten_meta() {
	awk -f /usr/lib/tiny/json.awk "$DATA/meta_data.json" >"$DATA/meta" 2>/dev/null && grep -q '^uuid	' "$DATA/meta"
}

label_at() { # DISK OFFSET LENGTH
	tail -c "+$(($2 + 1))" "$1" 2>/dev/null | head -c "$3"
}

# metadata_service SECONDS: asks until it answers or the time is up. Every request has a short limit,
# because packets to a service that is not there yet are usually dropped, not refused.
metadata_service() {
	until=$(($(uptime_s) + $1))
	while :; do
		openstack_metadata && return 0
		ec2_metadata && return 0
		[ "$(uptime_s)" -lt "$until" ] || return 1
		sleep 1
	done
}

uptime_s() { cut -d. -f1 /proc/uptime; }

openstack_metadata() {
	for base in "$SERVICE" $(ipv6_services); do
		fetch "$base/openstack/latest/meta_data.json" "$DATA/meta_data.json" || continue
		flatten_meta || { metadata_error="$base sent no valid meta_data.json"; continue; }
		fetch_optional "$base/openstack/latest/user_data" "$DATA/user_data"
		metadata_from="$base/openstack"
		return 0
	done
	return 1
}

# On a network without IPv4 the service answers on a link-local address.
ipv6_services() {
	for nic in $NICS; do
		[ -e "/run/net/$nic.ready" ] || ! has_global_ipv6 "$nic" || echo "http://[fe80::a9fe:a9fe%25$nic]"
	done
}

# The older interface, brought into the form of the newer one.
ec2_metadata() {
	base=$SERVICE/latest
	fetch "$base/meta-data/instance-id" "$DATA/instance-id" || return 1
	fetch_optional "$base/meta-data/hostname" "$DATA/hostname"
	fetch_optional "$base/meta-data/public-keys/" "$DATA/public-keys"
	: >"$DATA/keys"
	if [ -s "$DATA/public-keys" ]; then
		while IFS='=' read -r number _ || [ -n "$number" ]; do
			fetch "$base/meta-data/public-keys/$number/openssh-key" "$DATA/key" && { cat "$DATA/key"; echo; } >>"$DATA/keys"
		done <"$DATA/public-keys"
	fi
	fetch_optional "$base/user-data" "$DATA/user_data"
	jq -n --rawfile id "$DATA/instance-id" --rawfile keys "$DATA/keys" --arg hostname "$(cat "$DATA/hostname" 2>/dev/null)" \
		'{uuid: ($id | sub("\\s+$"; "")), hostname: $hostname, public_keys: ([$keys / "\n" | .[] | select(. != "")] | to_entries | map({key: (.key | tostring), value: .value}) | from_entries)}' \
		>"$DATA/meta_data.json" && flatten_meta || return 1
	metadata_from=$SERVICE/latest/meta-data
}

# fetch URL FILE: one try of at most 3 s; the file appears only when it is complete.
fetch() {
	if error=$(get "$1" "$2.part" 2>&1); then
		mv "$2.part" "$2"
		return 0
	fi
	rm -f "$2.part"
	metadata_error="$1 did not answer (${error:-time-out})"
	return 1
}

# busybox's wget starts faster, but knows no zones of IPv6 addresses.
get() {
	case $1 in
		*\[*) timeout 3 curl -gsSf -o "$2" "$1" ;;
		*) timeout 3 wget -q -O "$2" "$1" ;;
	esac
}

# fetch_optional URL FILE: 404 means that there is none; anything else is tried again.
fetch_optional() {
	rm -f "$2"
	for _ in 1 2 3; do
		fetch "$1" "$2" && return 0
		case $metadata_error in *404*) return 0 ;; esac
		usleep 300000
	done
}
