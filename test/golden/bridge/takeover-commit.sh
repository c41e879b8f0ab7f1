#!/bin/sh
# Makes a change of the host's uplink permanent.
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
if [ "$id" != 0badcafe ] || { [ "${1:--}" != - ] && [ "$1" != "$id" ]; }; then exit 97; fi
if [ -e /var/lib/maru-bridge/pending/reverting ] || [ -e /run/maru-bridge-reverting-0badcafe ]; then exit 97; fi
# half of a change is not to be kept
[ -e /var/lib/maru-bridge/pending/applied ] || exit 98
fail() { echo "failed: $1"; exit 4; }
touch /var/lib/maru-bridge/pending/etc-touched && sync /var/lib/maru-bridge/pending || fail 'writing down that files change'
mkdir -p /etc/manager && cp /var/lib/maru-bridge/pending/permanent/0 /etc/manager/eth0.conf.maru-new && chmod 0600 /etc/manager/eth0.conf.maru-new && sync /etc/manager/eth0.conf.maru-new && mv /etc/manager/eth0.conf.maru-new /etc/manager/eth0.conf || fail 'writing /etc/manager/eth0.conf'
mkdir -p /etc/manager && cp /var/lib/maru-bridge/pending/permanent/1 /etc/manager/br-ex.conf.maru-new && chmod 0600 /etc/manager/br-ex.conf.maru-new && sync /etc/manager/br-ex.conf.maru-new && mv /etc/manager/br-ex.conf.maru-new /etc/manager/br-ex.conf || fail 'writing /etc/manager/br-ex.conf'
rm -f /etc/manager/old.conf || fail 'writing /etc/manager/old.conf'
timeout -k 5 30 sync -f /etc/manager
rm -f /run/manager/05-br-ex.conf
timeout -k 5 30 managerctl reload || fail 'managerctl reload'
rm -rf /var/lib/maru-bridge/bridge-br-ex
mv /var/lib/maru-bridge/pending /var/lib/maru-bridge/bridge-br-ex || fail 'keeping the originals'
sync /var/lib/maru-bridge
[ ! -d /run/systemd/system ] || systemctl --no-block stop maru-bridge-deadline-0badcafe.timer 2>/dev/null
exit 0
} 9>&-
