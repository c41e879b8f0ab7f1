#!/bin/sh
# Undoes a change of the host's uplink. Safe to run at any time, and again.
# takeover of uplink eth0, bridge br-ex, change 0badcafe
trap '' HUP INT TERM
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
cd /
# on a read-only disk too: a host must get its network back whatever its disk does
if { true >> /var/lib/maru-bridge/lock; } 2>/dev/null; then exec 9>> /var/lib/maru-bridge/lock
elif [ -r /var/lib/maru-bridge/lock ]; then exec 9< /var/lib/maru-bridge/lock
else exec 9>> /run/maru-bridge.lock; fi
flock 9
# nothing that is started below may keep the lock
{
id=; read -r id 2>/dev/null < /var/lib/maru-bridge/pending/id
if [ "$id" != 0badcafe ] || { [ "${1:--}" != - ] && [ "$1" != "$id" ]; }; then exit 0; fi
reason=${2:-unknown}
boot=$(cat /proc/sys/kernel/random/boot_id)
if [ "$reason" = boot ] && [ "$boot" = 11111111-2222-4333-8444-555555555555 ]; then exit 0; fi
{ echo "$reason" > /var/lib/maru-bridge/pending/reverting; } 2>/dev/null || echo "$reason" > /run/maru-bridge-reverting-0badcafe
# a log that cannot be written must not keep what follows from being done
log=/var/lib/maru-bridge/pending/log ran=
{ true >> "$log"; } 2>/dev/null || log=/dev/null
{
echo "reverting: $reason"
# files of /etc, only when a confirmation had begun to write them
if [ -e /var/lib/maru-bridge/pending/etc-touched ]; then
mkdir -p /etc/manager && cp /var/lib/maru-bridge/pending/originals/0 /etc/manager/eth0.conf.maru-new && chmod 0640 /etc/manager/eth0.conf.maru-new && sync /etc/manager/eth0.conf.maru-new && mv /etc/manager/eth0.conf.maru-new /etc/manager/eth0.conf
rm -f /etc/manager/br-ex.conf
mkdir -p /etc/manager && cp /var/lib/maru-bridge/pending/originals/2 /etc/manager/old.conf.maru-new && chmod 0644 /etc/manager/old.conf.maru-new && sync /etc/manager/old.conf.maru-new && mv /etc/manager/old.conf.maru-new /etc/manager/old.conf
timeout -k 5 30 sync -f /etc/manager
:
fi
rm -f /run/manager/05-br-ex.conf
# after a reboot the host has made its network anew, from its own files
if [ "$boot" = 11111111-2222-4333-8444-555555555555 ]; then
# lifetimes of addresses and routes have gone on since the snapshot
read -r now rest < /proc/uptime
E=$(( ${now%%.*} - 1000 ))
while read -r path value; do
  is=; read -r is 2>/dev/null < "/proc/sys/net/$path"
  [ "$is" = "$value" ] || echo "$value" > "/proc/sys/net/$path"
done <<END
ipv4/conf/eth0/rp_filter 1
ipv6/conf/eth0/accept_ra 1
END
# nothing is reached yet, so these get less time
timeout -k 5 10 managerctl forget 'br-ex'\''s client'
ip -force -batch - <<END
link set dev eth0 mtu 1400
link set dev eth0 up
END
ip -4 -force -batch - <<END
addr replace 192.0.2.10/24 broadcast 192.0.2.255 scope 0 dev eth0
addr replace 198.51.100.5/24 scope 0 metric 300 dev eth0
addr replace 192.0.2.130/25 scope 0 noprefixroute dev eth0
addr replace 192.0.2.11/24 scope 0 label eth0:1 dev eth0
END
ip -6 -force -batch - <<END
addr replace fe80::ff:fe00:aa/64 scope 253 nodad dev eth0
addr replace 2001:db8::10/64 scope 0 nodad dev eth0
addr replace 2001:db8::11/64 scope 0 noprefixroute nodad dev eth0 valid_lft $((2998>E?2998-E:1)) preferred_lft $((1998>E?1998-E:1))
addr replace 2001:db8:3::ff:fe00:aa/64 scope 0 mngtmpaddr noprefixroute nodad dev eth0 valid_lft $((86400>E?86400-E:1)) preferred_lft $((14400>E?14400-E:1))
END
ip -4 -force -batch - <<END
route append 192.0.2.0/24 table 254 proto 2 scope 253 src 192.0.2.10 dev eth0
route append 198.51.100.0/24 table 254 proto 2 scope 253 src 198.51.100.5 metric 300 dev eth0
END
ip -force -batch - <<END
neigh replace 192.0.2.1 lladdr 02:00:00:00:00:01 nud stale dev eth0
neigh replace fe80::1 lladdr 02:00:00:00:00:01 nud stale router dev eth0
END
# while it is still a port: what is sent by the uplink goes out, what is sent by a bridge without port does not
ip -4 -force -batch - <<END
route replace default table 101 proto 3 scope 0 via 198.51.100.1 dev eth0
route replace 203.0.113.0/25 table 101 proto 3 scope 0 nexthop via 192.0.2.1 dev eth0 weight 1 nexthop via 198.51.100.1 dev eth0 weight 2
route replace 203.0.113.128/25 table 101 proto 3 scope 0 via 192.0.2.77 dev eth0 onlink
route replace default table 254 proto 4 scope 0 src 192.0.2.11 metric 100 mtu 1300 via 192.0.2.1 dev eth0
route replace default table 254 proto 3 scope 0 metric 200 via 198.51.100.1 dev eth0
route append default table 254 proto 3 scope 0 metric 200 via 192.0.2.1 dev eth0
END
ip -6 -force -batch - <<END
route append 2001:db8:7::/64 table 254 proto 3 metric 1024 pref medium via 2001:db8::1 dev eth0
route append 2001:db8:7::/64 table 254 proto 3 metric 1024 pref medium via fe80::1 dev eth0
route append 2001:db8:8::/64 table 254 proto 9 metric 50 pref medium expires $((1699>E?1699-E:1)) via fe80::1 dev eth0
route append default table 254 proto 3 metric 1024 pref high via fe80::1 dev eth0
END
ip -4 -force -batch - <<END
route del 192.0.2.0/24 table 254 proto 2 scope 253 src 192.0.2.10 dev br-ex
route del 198.51.100.0/24 table 254 proto 2 scope 253 src 198.51.100.5 metric 300 dev br-ex
END
ip -6 -force -batch - <<END
route del 2001:db8::/64 table 254 proto 2 metric 256 dev br-ex
route del fe80::/64 table 254 proto 2 metric 256 dev br-ex
END
ip -force -batch - <<END
link set dev eth0 nomaster
END
ip -4 -force -batch - <<END
rule add pref 999 from all fwmark 0x1/0xff lookup 101 protocol 0 iif eth0
rule del pref 999 from all fwmark 0x1/0xff lookup 101 protocol 0 iif br-ex
END
ip -6 -force -batch - <<END
rule add pref 32765 from all lookup 101 protocol 0 oif eth0
rule del pref 32765 from all lookup 101 protocol 0 oif br-ex
END
ip link del dev br-ex
timeout -k 5 30 managerctl reload
# a manager may have flushed what it does not know, and addresses that went took routes with them
ip -4 -force -batch - <<END
addr replace 192.0.2.10/24 broadcast 192.0.2.255 scope 0 dev eth0
addr replace 198.51.100.5/24 scope 0 metric 300 dev eth0
addr replace 192.0.2.130/25 scope 0 noprefixroute dev eth0
addr replace 192.0.2.11/24 scope 0 label eth0:1 dev eth0
END
ip -6 -force -batch - <<END
addr replace fe80::ff:fe00:aa/64 scope 253 dev eth0
addr replace 2001:db8::10/64 scope 0 nodad dev eth0
addr replace 2001:db8::11/64 scope 0 noprefixroute nodad dev eth0 valid_lft $((2998>E?2998-E:1)) preferred_lft $((1998>E?1998-E:1))
addr replace 2001:db8:3::ff:fe00:aa/64 scope 0 mngtmpaddr noprefixroute nodad dev eth0 valid_lft $((86400>E?86400-E:1)) preferred_lft $((14400>E?14400-E:1))
END
ip -4 -force -batch - <<END
route append 192.0.2.0/24 table 254 proto 2 scope 253 src 192.0.2.10 dev eth0
route append 198.51.100.0/24 table 254 proto 2 scope 253 src 198.51.100.5 metric 300 dev eth0
END
ip -4 -force -batch - <<END
route replace default table 101 proto 3 scope 0 via 198.51.100.1 dev eth0
route replace 203.0.113.0/25 table 101 proto 3 scope 0 nexthop via 192.0.2.1 dev eth0 weight 1 nexthop via 198.51.100.1 dev eth0 weight 2
route replace 203.0.113.128/25 table 101 proto 3 scope 0 via 192.0.2.77 dev eth0 onlink
route replace default table 254 proto 4 scope 0 src 192.0.2.11 metric 100 mtu 1300 via 192.0.2.1 dev eth0
route replace default table 254 proto 3 scope 0 metric 200 via 198.51.100.1 dev eth0
route append default table 254 proto 3 scope 0 metric 200 via 192.0.2.1 dev eth0
END
ip -6 -force -batch - <<END
route append 2001:db8:7::/64 table 254 proto 3 metric 1024 pref medium via 2001:db8::1 dev eth0
route append 2001:db8:7::/64 table 254 proto 3 metric 1024 pref medium via fe80::1 dev eth0
route append 2001:db8:8::/64 table 254 proto 9 metric 50 pref medium expires $((1699>E?1699-E:1)) via fe80::1 dev eth0
route append default table 254 proto 3 metric 1024 pref high via fe80::1 dev eth0
END
while read -r path value; do
  is=; read -r is 2>/dev/null < "/proc/sys/net/$path"
  [ "$is" = "$value" ] || echo "$value" > "/proc/sys/net/$path"
done <<END
ipv6/conf/eth0/addr_gen_mode 0
END
fi
ran=1
} >> "$log" 2>&1
if [ "$ran" = 1 ]; then
printf 'reverted: %s\n' "$reason" > /var/lib/maru-bridge/pending/result
rm -rf /var/lib/maru-bridge/last
if mv -T /var/lib/maru-bridge/pending /var/lib/maru-bridge/last; then rm -f /run/maru-bridge-reverting-0badcafe /run/maru-bridge-reverted-0badcafe
else echo "$reason" > /run/maru-bridge-reverted-0badcafe; fi
sync /var/lib/maru-bridge
fi
[ ! -d /run/systemd/system ] || systemctl --no-block stop maru-bridge-deadline-0badcafe.timer 2>/dev/null
} 9>&-
