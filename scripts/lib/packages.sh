# shellcheck shell=bash
# The operating system's packages, by purpose, for Debian 12/13 and Ubuntu 22.04/24.04.

# packages_for PURPOSE: what `ensure_packages` wants, one a line.
#   controller, host   what an installation of that role needs (all-in-one: host)
#   run    a host with guests, and building the tiny image
#   test   what the test suite uses on top of that
#   build  compiling better-sqlite3 where no prebuilt binary fits
#   package  building packages of Maru
# `a|b`: either will do, and a is installed when there is neither.
packages_for() {
  case $1 in
    controller) printf '%s\n' iproute2 procps util-linux ca-certificates ;;
    host) printf '%s\n' \
      qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients dnsmasq-base \
      iproute2 iptables nftables ipset conntrack procps kmod util-linux iputils-ping 'arping|iputils-arping' curl ca-certificates ;;
    run) packages_for host && printf '%s\n' \
      openssh-client genisoimage e2fsprogs extlinux cpio xz-utils zstd fdisk jq ;;
    test) packages_for run && printf '%s\n' 'busybox|busybox-static' python3 python3-openstackclient tempest postgresql debootstrap strace socat libxml2-utils shellcheck vagrant vagrant-libvirt man-db zsh fish network-manager netplan.io ifupdown isc-dhcp-client bridge-utils && { grep -qs '^VERSION_ID="22.04"' /etc/os-release || echo dhcpcd-base; } ;;
    build) printf '%s\n' python3 make g++ ;;
    package) printf '%s\n' dpkg-dev binutils xz-utils ;;
    *) printf 'packages_for: unknown purpose %s\n' "$1" >&2 && return 2 ;;
  esac
}

# missing_packages PURPOSE: those that are not installed.
missing_packages() {
  local wanted package
  for wanted in $(packages_for "$1"); do
    for package in ${wanted//|/ }; do
      [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ] || continue 2
    done
    printf '%s\n' "${wanted%%|*}"
  done
}

# ensure_packages PURPOSE: installs what is missing and starts no service. One line on stderr and 1 when that is impossible.
ensure_packages() {
  local missing package
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    stop_with "this needs Debian 12/13 or Ubuntu 22.04/24.04: there is no apt-get on this machine"
    return 1
  fi
  mapfile -t missing < <(missing_packages "$1")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ]; then
    stop_with "installing ${missing[*]} needs root; run this with sudo"
    return 1
  fi
  printf 'installing %s\n' "${missing[*]}" >&2
  (
    deny_services
    trap allow_services EXIT
    apt_get update || {
      stop_with "apt-get update failed: is the package archive reachable from here (network, proxy)? Log: $apt_log"
      exit 1
    }
    apt_get install --no-install-recommends "${missing[@]}" || {
      stop_with "apt-get install ${missing[*]} failed; on Ubuntu the component 'universe' is needed. Log: $apt_log"
      exit 1
    }
  ) || return 1
  for package in "${missing[@]}"; do
    case $package in
      libvirt-daemon-system) quiet_libvirt ;;
      postgresql) quiet_units 'postgresql*.service' ;;
    esac
  done
}

# ensure_node: Node 20 or newer, with npm.
ensure_node() {
  local major
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    stop_with "Node.js 20 or newer with npm is needed and not installed; see https://nodejs.org/en/download"
    return 1
  fi
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || {
    stop_with "Node.js 20 or newer is needed, and $(command -v node) is $(node -v); see https://nodejs.org/en/download"
    return 1
  }
}

stop_with() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

apt_log=/tmp/maru-apt.log

apt_get() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -qq -y -o DPkg::Lock::Timeout=300 \
    -o Dpkg::Options::=--force-confold "$@" >"$apt_log" 2>&1 </dev/null
}

# The answer 101 to every "may this service start?" of a package's scripts, while we install.
policy=/usr/sbin/policy-rc.d
policy_mark='# maru: no service starts while its packages are installed'
cluster_conf=/etc/postgresql-common/createcluster.d/maru.conf

deny_services() {
  if [ ! -e $policy ] || grep -qF "$policy_mark" $policy; then
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >$policy
    chmod 755 $policy
  fi
  mkdir -p "${cluster_conf%/*}"
  printf 'create_main_cluster = false\n' >$cluster_conf
}

allow_services() {
  if grep -qsF "$policy_mark" $policy; then rm -f $policy; fi
  rm -f $cluster_conf
}

# libvirt was not here before us: its daemons stay off after a reboot too, and so does the default network's bridge.
quiet_libvirt() {
  quiet_units 'libvirt*.service' 'libvirt*.socket' 'virt*d.service' 'virt*d*.socket'
  rm -f /etc/libvirt/qemu/networks/autostart/default.xml
}

quiet_units() {
  local units
  command -v systemctl >/dev/null || return 0
  mapfile -t units < <(systemctl list-unit-files --no-legend --state=enabled "$@" 2>/dev/null | awk '{ print $1 }')
  [ ${#units[@]} -eq 0 ] || systemctl disable --quiet "${units[@]}" 2>/dev/null || true
}
