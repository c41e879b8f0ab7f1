# shellcheck shell=bash
# shellcheck disable=SC2034 # used by the scripts that read this
# What the provisioning scripts share. Settings come as MARU_… variables; vagrant/README.md lists them.
set -euo pipefail
export LC_ALL=C
bridge=br-ex

say() { printf '==> %s\n' "$*"; }
stop_with() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# need NAME...: these settings must be there.
need() {
  local name
  for name in "$@"; do
    [ -n "${!name:-}" ] || stop_with "$name is not set; vagrant/README.md says what it is"
  done
  [ "$(id -u)" = 0 ] || stop_with "this needs root"
}

# cards: network cards in their order, one a line.
cards() {
  local path
  for path in /sys/class/net/*; do
    case ${path##*/} in en* | eth*) printf '%s\n' "${path##*/}" ;; esac
  done | sort -V
}

# default_device: where the default route leads; nothing when there is none.
default_device() { ip -4 -o route show default | sed -nE 's/.* dev ([^ ]+).*/\1/p' | head -n 1; }

# address_of DEVICE: its first IPv4 address with prefix length.
address_of() { ip -4 -o address show dev "$1" scope global 2>/dev/null | awk 'NR == 1 { print $4 }'; }

# bridged: the card that the bridge has taken over; nothing before that.
bridged() { ip -o link show master "$bridge" 2>/dev/null | sed -nE 's/^[0-9]+: (en|eth)([^:@]*).*/\1\2/p' | head -n 1; }

# card_of nat|external: the card of the default route, or the first other one, also after the bridge has taken it over.
card_of() {
  local nat card
  nat=$(default_device)
  [ "$nat" != "$bridge" ] || nat=$(bridged)
  [ -n "$nat" ] || stop_with "there is no default route: which card is Vagrant's?"
  if [ "$1" = nat ]; then
    printf '%s\n' "$nat"
    return
  fi
  for card in $(cards); do
    if [ "$card" != "$nat" ]; then
      printf '%s\n' "$card"
      return
    fi
  done
  stop_with "there is no second network card beside $nat"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    [ $SECONDS -lt $deadline ] || stop_with "$what: not in time"
    sleep 0.5
  done
}
