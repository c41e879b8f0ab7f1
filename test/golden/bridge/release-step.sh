#!/bin/sh
# Runs one command of a change of the uplink.
# release of uplink eth0, bridge br-ex, change 0badcafe
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
shift
# ended by SIGTERM to the process of that id, with all that it has started
( trap - HUP INT TERM; exec /bin/sh -c 'echo $$ > /var/lib/maru-bridge/pending/step; exec timeout -k 2 "$@"' sh "$@" )
code=$?
rm -f /var/lib/maru-bridge/pending/step
exit $code
} 9>&-
