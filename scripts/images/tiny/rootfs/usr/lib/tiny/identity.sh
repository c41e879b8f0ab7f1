# shellcheck shell=dash disable=SC2034,SC2154,SC3045 # busybox's shell; variables are shared with boot
# What makes this guest this instance: name, keys, host keys.

STATE=/var/lib/tiny

# apply_identity: puts the metadata in /run/tiny/data/meta into effect and sets $instance_id.
apply_identity() {
	fqdn=
	: >/run/tiny/keys
	while IFS='	' read -r path value; do
		case $path in
			uuid) instance_id=$value ;;
			hostname) fqdn=$value ;;
			name) fqdn=${fqdn:-$value} ;;
			public_keys.*) echo "${value% }" >>/run/tiny/keys ;;
		esac
	done </run/tiny/data/meta
	# The name comes from outside: only what may stand in a host name is taken over.
	fqdn=$(echo "$fqdn" | tr -cd 'A-Za-z0-9.-')
	name=${fqdn%%.*}
	if [ -n "$name" ]; then
		hostname "$name"
		echo "$name" >/etc/hostname
		printf '127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 %s %s\n' "$fqdn" "$name" >/etc/hosts
	fi
	install_keys /root 0
	install_keys /home/cirros 1000
}

# Keys are added, never removed: a user may have put his own there.
install_keys() { # HOME UID
	file=$1/.ssh/authorized_keys
	mkdir -p "$1/.ssh"
	touch "$file"
	while read -r key; do
		[ -z "$key" ] || grep -qxF "$key" "$file" || echo "$key" >>"$file"
	done </run/tiny/keys
	chmod 700 "$1/.ssh"
	chmod 600 "$file"
	chown -R "$2:$2" "$1/.ssh"
}

# The host key is made while DHCP runs. Those of the other types (ecdsa, rsa), which take longer under
# emulation, are made when a client asks for one (dropbear -R).
prepare_host_keys() {
	mkdir -p /etc/dropbear
	key=/etc/dropbear/dropbear_ed25519_host_key
	[ -s "$key" ] || { dropbearkey -t ed25519 -f "$key.new" >"$key.pub" 2>/dev/null && mv "$key.new" "$key"; }
}

# A server made from a snapshot must not share its original's host keys.
host_keys_of_instance() {
	[ "$instance_id" != none ] || return 0
	mkdir -p "$STATE"
	read -r before 2>/dev/null <"$STATE/instance-id" || before=$instance_id
	if [ "$before" != "$instance_id" ]; then
		rm -f /etc/dropbear/dropbear_*
		prepare_host_keys
	fi
	echo "$instance_id" >"$STATE/instance-id"
}

start_sshd() {
	dropbear -R -p 22 || { echo "MARU-BOOT-WARN dropbear did not start (exit $?)"; return; }
	# 0016 is port 22, 0A is LISTEN.
	grep -q ':0016 0*:0000 0A' /proc/net/tcp /proc/net/tcp6 || echo "MARU-BOOT-WARN nothing listens on port 22"
}

# boot_report: what somebody who reads the console log wants to know.
boot_report() {
	say "kernel $(uname -r), $(grep -c ^processor /proc/cpuinfo) CPU, $(awk '/MemTotal/ { print int($2 / 1024) }' /proc/meminfo) MB, root $(df -h / | awk 'NR == 2 { print $2 ", " $4 " free" }')"
	say "instance $instance_id, data from $source"
	for nic in $NICS; do
		say "$nic $(cat "/sys/class/net/$nic/address") mtu $(cat "/sys/class/net/$nic/mtu") $(tr '\n' ' ' 2>/dev/null <"/run/net/$nic.lease")"
	done
	ip -o addr show scope global | awk '{ print "tiny: address " $2 " " $4 }'
	ip -4 route | sed 's/^/tiny: route /'
	sed 's/^/tiny: dns /' /etc/resolv.conf 2>/dev/null
	say "keys for root and cirros: $(grep -c . /root/.ssh/authorized_keys 2>/dev/null)"
	awk '/^(ssh|ecdsa)-/ { print "tiny: host key " $1 " " $2 }' /etc/dropbear/*.pub
	say "up $(cut -d' ' -f1 /proc/uptime) s"
}
