#!/usr/bin/env bash
# Provider network, image and the first server, through the public APIs; says what to type next. Repeatable.
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need MARU_SOURCE

main() {
  local outside image user arguments
  outside=$(address_of "$bridge")
  [ -n "$outside" ] || stop_with "$bridge has no address: bridge.sh comes first"
  [ "${outside#*/}" = 24 ] || [ -n "${MARU_POOL:-}" ] || stop_with "$bridge has $outside: say with MARU_POOL which addresses of it are free"
  image=${MARU_IMAGE:-}
  [ -n "$image" ] || {
    image=/var/lib/maru-demo/tiny.qcow2
    build_image "$image"
  }
  arguments=(--cidr "$(outside_network)" --pool "${MARU_POOL:-$(free_of "$outside")}" --image "$image")
  arguments+=(--gateway "$(gateway_of "$outside")")
  if [ -f "$image.json" ]; then
    user=$(sed -nE 's/.*"ssh_user": *"([^"]+)".*/\1/p' "$image.json" | head -n 1)
    [ -z "$user" ] || arguments+=(--ssh-user "$user")
  fi
  [ "${MARU_SERVER:-yes}" = yes ] || arguments+=(--no-server)
  maru demo "${arguments[@]}"
  say "from your own computer: vagrant ssh node1, then sudo -i and the lines above"
}

build_image() {
  say "building the demo's image"
  # shellcheck source=/dev/null
  (. "$MARU_SOURCE/scripts/lib/packages.sh" && ensure_packages run)
  mkdir -p "${1%/*}"
  "$MARU_SOURCE/scripts/build-tiny-image" --output "$1" --cache "${1%/*}/cache"
}

# outside_network: the network that the bridge is in.
outside_network() { ip -4 -o route show dev "$bridge" scope link | awk '$1 ~ "/" { print $1; exit }'; }

# free_of ADDRESS, of a /24: what is neither the machines' nor, as far as Vagrant's networks go, given out by DHCP servers.
free_of() {
  if [ "${MARU_UPLINK:-external}" = nat ]; then
    printf '%s.200-%s.250\n' "${1%.*}" "${1%.*}"
  else
    printf '%s.100-%s.199\n' "${1%.*}" "${1%.*}"
  fi
}

# gateway_of ADDRESS: the next hop over the bridge, else this computer's own address in the network of the second cards.
gateway_of() {
  local hop
  hop=$(ip -4 -o route show default dev "$bridge" | sed -nE 's/.* via ([^ ]+).*/\1/p' | head -n 1)
  printf '%s\n' "${hop:-${1%.*}.1}"
}

main
