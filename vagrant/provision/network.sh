#!/usr/bin/env bash
# Gives the second card its address, in the configuration of whatever manages this system's network. Repeatable.
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need MARU_ADDRESS MARU_PREFIX

main() {
  local card manager
  if ip -4 -o address show | grep -qwF "inet $MARU_ADDRESS/$MARU_PREFIX"; then
    say "this machine has $MARU_ADDRESS already"
    return
  fi
  card=$(card_of external)
  manager=$(manager)
  say "$card gets $MARU_ADDRESS/$MARU_PREFIX from $manager"
  case $manager in
    netplan) netplan_file "$card" ;;
    networkd) networkd_file "$card" ;;
    NetworkManager) networkmanager_profile "$card" ;;
    ifupdown) ifupdown_file "$card" ;;
  esac
  wait_for 30 "$MARU_ADDRESS on $card" has_address "$card"
}

has_address() { [ "$(address_of "$1")" = "$MARU_ADDRESS/$MARU_PREFIX" ]; }

# Who configures this system's cards: netplan before what it makes its files for.
manager() {
  if command -v netplan >/dev/null && compgen -G '/etc/netplan/*.yaml' >/dev/null; then
    echo netplan
  elif systemctl -q is-active systemd-networkd.service; then
    echo networkd
  elif systemctl -q is-active NetworkManager.service; then
    echo NetworkManager
  elif command -v ifup >/dev/null && [ -f /etc/network/interfaces ]; then
    echo ifupdown
  else
    stop_with "nothing that manages networks is known here: neither netplan, systemd-networkd, NetworkManager nor ifupdown"
  fi
}

netplan_file() {
  local file=/etc/netplan/60-maru-external.yaml
  (umask 077 && cat >"$file") <<YAML
network:
  version: 2
  ethernets:
    $1:
      dhcp4: false
      addresses: [$MARU_ADDRESS/$MARU_PREFIX]
YAML
  netplan apply
}

networkd_file() {
  cat >/etc/systemd/network/60-maru-external.network <<INI
[Match]
Name=$1

[Network]
Address=$MARU_ADDRESS/$MARU_PREFIX
INI
  # reconfigures the card as well; asking for that again would take the address away once more, a moment later
  networkctl reload
}

networkmanager_profile() {
  nmcli connection add type ethernet ifname "$1" con-name maru-external ipv4.method manual \
    ipv4.addresses "$MARU_ADDRESS/$MARU_PREFIX" ipv6.method link-local
  nmcli connection up maru-external
}

ifupdown_file() {
  mkdir -p /etc/network/interfaces.d
  cat >/etc/network/interfaces.d/maru-external <<STANZA
auto $1
iface $1 inet static
    address $MARU_ADDRESS/$MARU_PREFIX
STANZA
  grep -qE '^source(-directory)? +(/etc/network/)?interfaces\.d' /etc/network/interfaces ||
    printf '\nsource /etc/network/interfaces.d/*\n' >>/etc/network/interfaces
  ifup "$1"
}

main
