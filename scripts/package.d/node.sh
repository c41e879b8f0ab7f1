# shellcheck shell=bash
# The Node.js that is shipped. Needs $root and stop_with.

# check_node FILE: fails unless it is of the version wanted and needs no libraries but those that every system has.
check_node() {
  local wanted version library
  wanted=$(cut -d. -f1 "$root/.nvmrc" | tr -d 'v[:space:]')
  version=$("$1" --version 2>/dev/null) || {
    stop_with "$1 does not run: --node names a Node.js $wanted for this machine"
    return 1
  }
  case $version in
    "v$wanted".*) ;;
    *)
      stop_with "$1 is Node.js $version, and Maru is built with $wanted (.nvmrc): --node names another"
      return 1
      ;;
  esac
  for library in $(readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $library in
      libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | libstdc++.so.* | libgcc_s.so.* | libatomic.so.* | ld-linux*) ;;
      *)
        stop_with "$1 needs $library, which other systems do not have in this version: --node names a Node.js of nodejs.org"
        return 1
        ;;
    esac
  done
}

# node_licence FILE: where the licence of this Node.js is.
node_licence() {
  local file
  for file in "${1%/bin/node}/LICENSE" "${1%/bin/node}/share/doc/nodejs/LICENSE" "${1%/bin/node}/share/doc/node/LICENSE"; do
    [ ! -f "$file" ] || {
      printf '%s\n' "$file"
      return
    }
  done
  stop_with "the licence of $1 is not beside it: --node-licence names the LICENSE that came with it"
  return 1
}
