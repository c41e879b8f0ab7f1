#!/usr/bin/env bash
# Installs Maru from the copy of the checkout: the first machine becomes controller and host, the others hosts. Repeatable.
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "$(readlink -f "$0")")/lib.sh"
need MARU_ADDRESS MARU_CONTROLLER MARU_NAME MARU_SOURCE MARU_TOKEN_FILE

main() {
  local arguments
  arguments=(--address "$MARU_ADDRESS" --name "$MARU_NAME" --physical-network "extnet:$bridge")
  [ "${MARU_PACKAGES:-yes}" = yes ] || arguments+=(--no-packages)
  ensure_node
  if [ "$MARU_ADDRESS" = "$MARU_CONTROLLER" ]; then
    say "installing controller and host"
    "$MARU_SOURCE/scripts/install" all-in-one "${arguments[@]}"
    return
  fi
  say "installing a host of the controller on $MARU_CONTROLLER"
  arguments+=(--controller "https://$MARU_CONTROLLER:5443")
  if [ -f "$MARU_TOKEN_FILE" ]; then arguments+=(--token-file "$MARU_TOKEN_FILE"); fi
  "$MARU_SOURCE/scripts/install" host "${arguments[@]}"
  # it is worth nothing any more
  rm -f "$MARU_TOKEN_FILE"
}

# Node, for building the checkout: distributions of before Debian 13 have none that is new enough.
ensure_node() {
  local major version=${MARU_NODE_VERSION:-} machine file
  export PATH=/opt/maru-node/bin:$PATH
  if command -v node >/dev/null && command -v npm >/dev/null; then
    major=$(node -p 'process.versions.node.split(".")[0]')
    [ "$major" -lt 20 ] || return 0
  fi
  need MARU_NODE_VERSION
  case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) stop_with "there is no Node.js for $(uname -m) at nodejs.org: install Node.js 20 or newer with npm" ;;
  esac
  say "Node.js $version"
  if ! command -v curl >/dev/null || ! command -v xz >/dev/null; then
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends curl ca-certificates xz-utils >/dev/null
  fi
  file=node-v$version-linux-$machine.tar.xz
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  for name in "$file" SHASUMS256.txt; do
    curl -fsSL --retry 3 -o "$download/$name" "https://nodejs.org/dist/v$version/$name" ||
      stop_with "https://nodejs.org/dist/v$version/$name cannot be fetched; another version: MARU_NODE_VERSION"
  done
  (cd "$download" && grep " $file\$" SHASUMS256.txt | sha256sum --check --status) ||
    stop_with "$file is not what SHASUMS256.txt says"
  mkdir -p /opt/maru-node
  tar -xJf "$download/$file" -C /opt/maru-node --strip-components=1
}

main
