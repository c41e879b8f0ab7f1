#!/usr/bin/env bash
# Gives the machine's address on its second card (or, with MARU_UPLINK=nat, its first) to br-ex, as on real hardware. Repeatable.
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need MARU_ADDRESS MARU_NAME MARU_CONTROLLER

main() {
  local card uplink=${MARU_UPLINK:-external} arguments=()
  if [ -n "$(bridged)" ]; then
    say "$bridge has $(bridged) already"
    return
  fi
  card=$(card_of "$uplink")
  if [ "$uplink" = nat ]; then
    [ "${MARU_PROVIDER:-}" != virtualbox ] ||
      say "note: VirtualBox lets nobody in through its NAT: floating IPs answer on this machine only; the other card is better"
  elif [ -n "${MARU_PEER:-}" ]; then
    # there may be no gateway there: this computer is asked
    arguments+=(--peer "$MARU_PEER")
  fi
  if [ "$MARU_ADDRESS" != "$MARU_CONTROLLER" ] && [ "$uplink" != nat ]; then
    arguments+=(--controller "https://$MARU_CONTROLLER:5443")
  fi
  say "$bridge takes $card over"
  maru bridge "$bridge" --uplink "$card" "${arguments[@]}"
}

main
