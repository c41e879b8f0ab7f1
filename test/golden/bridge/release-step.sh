#!/bin/sh
# Runs one command of a change of the uplink.
# release of uplink eth0, bridge br-ex, change 0badcafe
trap '' HUP INT TERM
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
cd /
exec 9>> /var/lib/maru-bridge/lock
flock 9
# nothing that is started below may keep the lock
{
id=; read -r id 2>/dev/null < /var/lib/maru-bridge/pending/id
if [ "$id" != 0badcafe ] || { [ "${1:--}" != - ] && [ "$1" != "$id" ]; }; then exit 97; fi
if [ -e /var/lib/maru-bridge/pending/reverting ]; then exit 97; fi
shift
timeout "$@"
} 9>&-
