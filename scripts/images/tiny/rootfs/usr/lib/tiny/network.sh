# shellcheck shell=dash disable=SC2034,SC2154,SC3045 # busybox's shell; variables are shared with boot
# Network: DHCP on every NIC, static addresses from the config drive, IPv6 by router advertisements.

EVENTS=/run/net/events

# Starts DHCP in the background. The hook writes a line to $EVENTS for every lease, which wakes network_wait.
network_start() {
	modprobe -aq virtio_net 2>/dev/null
	mkfifo "$EVENTS"
	exec 3<>"$EVENTS"
	ip link set lo up
	NICS=
	for device in /sys/class/net/*/device; do
		[ -e "$device" ] || continue
		nic=${device%/device}
		nic=${nic##*/}
		NICS="$NICS $nic"
		ip link set "$nic" up
		/usr/lib/tiny/dhcp "$nic"
	done
}

# network_wait: returns as soon as every NIC has its lease, 3 s after the first one that has an
# address, or after 30 s. Fails when no NIC has an address.
network_wait() {
	waited=0
	grace=0
	while :; do
		ready=0
		missing=0
		for nic in $NICS; do
			if [ -e "/run/net/$nic.ready" ]; then
				ready=$((ready + 1))
			else
				missing=$((missing + 1))
				has_global_ipv6 "$nic" && ready=$((ready + 1))
			fi
		done
		[ "$missing" -gt 0 ] || break
		if [ "$grace" -ge 3 ] || [ "$waited" -ge 30 ]; then break; fi
		if ! read -t 1 -r _ <&3; then
			waited=$((waited + 1))
			[ "$ready" -eq 0 ] || grace=$((grace + 1))
		fi
	done
	[ "$ready" -gt 0 ] && return 0
	metadata_error="no NIC got an address within $waited s (NICs:${NICS:- none})"
	return 1
}

# Scope 00 in /proc/net/if_inet6 is global; tentative addresses (flag 40) do not count yet.
has_global_ipv6() {
	awk -v nic="$1" '$6 == nic && $4 == "00" && $5 !~ /^[4-7c-f]/ { found = 1 } END { exit !found }' /proc/net/if_inet6 2>/dev/null
}

# addresses: the global addresses of all NICs, comma separated, IPv4 first.
addresses() {
	list=$(ip -o addr show scope global 2>/dev/null |
		awk '{ sub("/.*", "", $4); if ($3 == "inet") v4 = v4 "," $4; else if ($3 == "inet6") v6 = v6 "," $4 } END { print substr(v4 v6, 2) }')
	echo "${list:-none}"
}

# network_static: what network_data.json of the config drive says about networks without DHCP.
network_static() {
	grep -q '"type": *"ipv[46]"' /run/tiny/data/network_data.json 2>/dev/null || return 0
	jq -r -f /usr/lib/tiny/network-data.jq /run/tiny/data/network_data.json >/run/tiny/network-data || return 0
	while read -r mac what first second; do
		nic=$(grep -lix "$mac" /sys/class/net/*/address 2>/dev/null | head -n1)
		nic=${nic%/address}
		nic=${nic##*/}
		case $what in
			mtu) [ -n "$nic" ] && ip link set "$nic" mtu "$first" ;;
			address)
				[ -n "$nic" ] || continue
				case $first in
					*:*) ;;
					*)
						if [ -e "/run/udhcpc.$nic.pid" ]; then
							kill "$(cat "/run/udhcpc.$nic.pid")"
							rm -f "/run/udhcpc.$nic.pid"
							ip -4 addr flush dev "$nic"
						fi
						: >"/run/net/$nic.ready"
						;;
				esac
				ip addr add "$first" dev "$nic"
				;;
			route)
				[ -n "$nic" ] || continue
				case $second in
					# before the routes of router advertisements, which have 1024
					*:*) ip -6 route add "$first" via "$second" dev "$nic" metric 512 ;;
					*) ip -4 route add "$first" via "$second" dev "$nic" ;;
				esac
				;;
			nameserver) echo "nameserver $first" >>/run/net/static.dns ;;
		esac
	done </run/tiny/network-data
	[ ! -e /run/net/static.dns ] || cat /run/net/*.dns >/etc/resolv.conf
}
