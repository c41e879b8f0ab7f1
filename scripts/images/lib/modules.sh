# shellcheck shell=bash
# Picks kernel modules with their dependencies out of an unpacked kernel package.

# index_modules TREE VERSION: decompresses nothing, only writes modules.dep and friends.
index_modules() { depmod -b "$1" "$2"; }

# module_files TREE VERSION MODULE...: the files of the modules that exist, dependencies first, each once.
# A module that is built in or that this kernel does not have gives nothing.
module_files() {
  local tree=$1 version=$2 module
  shift 2
  for module in "$@"; do
    modprobe -d "$tree" -S "$version" --show-depends "$module" 2>/dev/null || true
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# plain_module SOURCE TARGET: copies a module, decompressed: busybox's insmod takes nothing else.
plain_module() {
  case $1 in
    *.xz) xz -dc "$1" >"${2%.xz}" ;;
    *.zst) zstd -qdc "$1" >"${2%.zst}" ;;
    *.gz) gzip -dc "$1" >"${2%.gz}" ;;
    *) cp "$1" "$2" ;;
  esac
}
