# shellcheck shell=bash
# Dependencies and build of this checkout; every function does nothing when there is nothing to do. Needs $root and packages.sh.

# become_root SCRIPT ARGUMENT...: starts the script again with sudo unless it runs as root; PATH is kept, for a Node of one's own.
become_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || {
    stop_with "this needs root (network namespaces, libvirt), and there is no sudo: run it as root"
    exit 1
  }
  exec sudo -E env "PATH=$PATH" "$@"
}

# ensure_built: node_modules as the lock file says, and dist newer than every source.
ensure_built() {
  ensure_node && ensure_modules && ensure_dist
}

# A checkout that belongs to a user stays theirs, also when sudo runs us.
as_owner() {
  local owner
  owner=$(stat -c %u "$root")
  if [ "$(id -u)" = 0 ] && [ "$owner" != 0 ] && command -v sudo >/dev/null; then
    sudo -u "#$owner" -H env "PATH=$PATH" "$@"
  else
    "$@"
  fi
}

ensure_modules() {
  ! modules_fit || return 0
  printf 'installing the npm packages (npm ci)\n' >&2
  local log
  log=$(mktemp /tmp/maru-npm.XXXXXX)
  chmod 666 "$log"
  if ! npm_ci "$log"; then
    # most likely no prebuilt SQLite binary could be fetched, and there is no compiler
    ensure_packages build || return 1
    npm_ci "$log" || {
      stop_with "npm ci failed: $(grep -E '^npm (error|ERR!) .' "$log" | sed -E 's/^npm (error|ERR!) //' | head -n 3 | tr '\n' ' ')(log: $log; it needs the npm registry)"
      return 1
    }
  fi
  rm -f "$log"
}

npm_ci() {
  (cd "$root" && as_owner npm ci --no-audit --no-fund >"$1" 2>&1 </dev/null) && modules_fit
}

# modules_fit: every required package is there in the locked version, and the SQLite addon loads in this Node.
modules_fit() {
  [ -f "$root/node_modules/.package-lock.json" ] && (cd "$root" && node -e '
    const { packages: want } = require("./package-lock.json");
    const { packages: have } = require("./node_modules/.package-lock.json");
    const wrong = Object.entries(want).some(([path, p]) => path && !p.optional && have[path]?.version !== p.version);
    if (wrong) process.exit(1);
    new (require("better-sqlite3"))(":memory:").close();
  ' 2>/dev/null)
}

ensure_dist() {
  ! dist_fresh || return 0
  (
    # several commands may be started at once: one builds, the others wait
    as_owner mkdir -p "$root/node_modules/.cache"
    exec 9<"$root/node_modules/.cache"
    flock 9
    ! dist_fresh || exit 0
    cd "$root" || exit 1
    started=$(mktemp)
    if ! output=$(as_owner npx --no-install tsc -p tsconfig.build.json 2>&1); then
      printf '%s\n' "$output" >&2
      stop_with "the build failed (tsc -p tsconfig.build.json, see above)"
      exit 1
    fi
    # as of the start: what was edited while building counts as newer
    as_owner touch -r "$started" dist/.built
    rm -f "$started"
  )
}

dist_fresh() {
  [ -f "$root/dist/.built" ] || return 1
  [ -z "$(cd "$root" && find src agents scripts package-lock.json tsconfig.json tsconfig.build.json \
    \( -name '*.ts' -o -name '*.json' \) -newer dist/.built -print -quit)" ]
}
