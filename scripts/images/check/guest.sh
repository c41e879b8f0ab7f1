# shellcheck shell=bash
# shellcheck disable=SC2016,SC2154 # commands are for the guest's shell; $image and $here are the caller's
# Starting a guest under emulation and asking it things, for check-tiny and check-debian.

user_network=(-netdev 'user,id=n0,hostfwd=tcp:127.0.0.1:2222-:22' -device 'virtio-net-pci,netdev=n0')

# guest_begin: a directory in $work, and an exit handler that ends what was started.
guest_begin() {
  work=$(mktemp -d)
  serial=$work/serial.log
  pids=()
  qemu=
  boot_limit=150
  booted_pattern='^MARU-BOOT-OK '
  trap guest_end EXIT
  ip link set lo up
}

guest_end() {
  local status=$? pid
  if [ "$status" -ne 0 ] && [ -f "$serial" ]; then
    printf -- '--- serial console:\n' >&2
    tail -n 40 "$serial" >&2
  fi
  for pid in "${pids[@]}" $qemu; do
    disown "$pid" 2>/dev/null || true
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}

step() { say "--- $* ($SECONDS s)"; }

new_disk() {
  rm -f "$1"
  qemu-img create -q -f qcow2 -F qcow2 -b "$image" "$1" "$2"
}

# meta_data NAME UUID KEY...: OpenStack's meta_data.json with the public keys of these types.
meta_data() {
  local name=$1 uuid=$2
  shift 2
  for type; do cat "$work/$type.pub"; done | jq -Rn --arg name "$name" --arg uuid "$uuid" \
    '{uuid: $uuid, name: $name, hostname: "\($name).novalocal", public_keys: ([inputs + "\n"] | to_entries | map({key: "key \(.key)", value: .value}) | from_entries)}'
}

# drive_iso FILE NAME UUID KEY...
drive_iso() {
  local file=$1
  shift
  mkdir -p "$work/drive/openstack/latest"
  meta_data "$@" >"$work/drive/openstack/latest/meta_data.json"
  printf '#!/bin/sh\necho user-data of $(hostname)\n' >"$work/drive/openstack/latest/user_data"
  genisoimage -quiet -V config-2 -J -r -o "$file" "$work/drive"
}

# guest_start MACHINE MB QEMU_ARGUMENTS...
guest_start() {
  local machine=$1 memory=$2
  shift 2
  rm -f "$serial" "$work/qmp" "$work/console"
  qemu-system-x86_64 -machine "$machine,accel=tcg" -cpu qemu64 -m "$memory" -display none -device virtio-rng-pci \
    -chardev "socket,id=console,path=$work/console,server=on,wait=off,logfile=$serial" -serial chardev:console \
    -qmp "unix:$work/qmp,server=on,wait=off" "$@" &
  qemu=$!
  booted=$SECONDS
  case $* in
    *"${user_network[*]}"*) where=(-p 2222 127.0.0.1) ;;
    *) where=(10.77.0.10) ;;
  esac
}

guest_stop() {
  kill "$qemu"
  wait "$qemu" 2>/dev/null || true
  qemu=
}

# boot_marker [N]: waits for the Nth line on the console that matches $booted_pattern.
boot_marker() {
  local until=$((SECONDS + boot_limit))
  until [ "$(grep -c "$booted_pattern" "$serial" 2>/dev/null)" = "${1:-1}" ]; do
    [ "$SECONDS" -lt "$until" ] || die "no boot marker within $boot_limit s"
    kill -0 "$qemu" 2>/dev/null || die "QEMU has ended"
    sleep 0.1
  done
  say "booted in $((SECONDS - booted)) s"
  booted=$SECONDS
}

# marker NAME: a field of the last boot marker.
marker() { grep '^MARU-BOOT-OK ' "$serial" | tail -n1 | tr -d '\r' | tr ' ' '\n' | sed -n "s/^$1=//p"; }

# guest COMMAND: runs it by ssh; user= and key= choose the account and the key. No stdin unless it is redirected.
guest() {
  local options=(-q -i "$work/${key:-ed25519}" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=20 -o IdentitiesOnly=yes -o BatchMode=yes)
  if [ -t 0 ]; then ssh -n "${options[@]}" -l "${user:-cirros}" "${where[@]}" "$@"; else ssh "${options[@]}" -l "${user:-cirros}" "${where[@]}" "$@"; fi
}

keyscan() { ssh-keyscan -T 20 -t ed25519 "${where[@]}" 2>/dev/null | cut -d' ' -f2-; }

expect() { # WHAT WANTED GOT
  [ "$2" = "$3" ] || die "$1: expected '$2', got '$3'"
  say "ok: $1"
}

holds() { # WHAT COMMAND_IN_THE_GUEST
  local output
  output=$(guest "$2" 2>&1 </dev/null) || die "$1: '$2' failed in the guest: $output"
  say "ok: $1"
}

eventually() { # WHAT COMMAND_IN_THE_GUEST
  local tries
  for tries in $(seq 30); do
    if guest "$2" >/dev/null 2>&1 </dev/null; then say "ok: $1"; return; fi
    sleep 0.5
  done
  die "$1: '$2' still fails in the guest after $tries tries"
}

console_has() { eventually_console "$1"; }

eventually_console() {
  local until=$((SECONDS + 30))
  until grep -q "$1" "$serial"; do
    [ "$SECONDS" -lt "$until" ] || die "the console does not show '$1'"
    sleep 0.2
  done
  say "ok: the console shows '$1'"
}

console_login() {
  (
    sleep 1
    for line in '' cirros gocubsgo 'echo LOGIN-$((40 + 2)) as $(sudo id -un)' exit; do
      printf '%s\n' "$line"
      sleep 3
    done
  ) | socat - "UNIX-CONNECT:$work/console" >/dev/null
  eventually_console 'LOGIN-42 as root'
}

# qmp COMMAND ARGUMENTS_JSON
qmp() {
  local reply
  reply=$(printf '{"execute":"qmp_capabilities"}\n{"execute":"%s","arguments":%s}\n' "$1" "${2:-{\}}" | socat -t 1 - "UNIX-CONNECT:$work/qmp")
  case $reply in *'"error"'*) die "QMP $1: $reply" ;; esac
}

# power_button: presses it; QEMU must end by itself.
power_button() {
  local since=$SECONDS
  qmp system_powerdown
  while kill -0 "$qemu" 2>/dev/null; do
    [ $((SECONDS - since)) -lt 30 ] || die "the guest is still running 30 s after the power button"
    sleep 0.1
  done
  qemu=
  say "ok: shut down in $((SECONDS - since)) s"
}

dhcp_server() {
  [ -z "${dnsmasq:-}" ] || kill "$dnsmasq"
  dnsmasq --keep-in-foreground --conf-file=/dev/null --no-hosts --no-resolv --port=0 --interface=br0 --bind-interfaces --except-interface=lo \
    --no-ping --enable-ra --dhcp-authoritative --leasefile-ro --pid-file= --user=root --log-facility="$work/dnsmasq.log" "$@" &
  dnsmasq=$!
  pids+=("$dnsmasq")
}

metadata_server() { # KIND NAME UUID
  stop_metadata_server
  node "$here/check/metadata-server.mjs" "$1" "$work/ed25519.pub" "$2" "$3" &
  metadata=$!
  pids+=("$metadata")
}

stop_metadata_server() {
  [ -z "${metadata:-}" ] || kill "$metadata" 2>/dev/null || true
  metadata=
}
