# shellcheck shell=bash
# Version and time of a build. Needs $root.

# build_version: package.json's version at its tag vVERSION; 0.1.0-git.12.abcdef0 before there is that tag and
# 0.1.0+git.3.abcdef0 after it (12 and 3 commits), with `.dirty` for what is not committed.
build_version() {
  local version commit count=0 dirty=
  version=$(node -p 'require(process.argv[1]).version' "$root/package.json")
  if ! commit=$(in_git rev-parse --short=7 HEAD 2>/dev/null); then
    printf '%s\n' "$version"
    return
  fi
  [ -z "$(in_git status --porcelain --untracked-files=no)" ] || dirty=.dirty
  if in_git rev-parse -q --verify "refs/tags/v$version" >/dev/null; then
    count=$(in_git rev-list --count "v$version..HEAD")
    [ "$count$dirty" != 0 ] || {
      printf '%s\n' "$version"
      return
    }
    printf '%s+git.%s.%s%s\n' "$version" "$count" "$commit" "$dirty"
  else
    printf '%s-git.%s.%s%s\n' "$version" "$(in_git rev-list --count HEAD)" "$commit" "$dirty"
  fi
}

# deb_version VERSION: Debian's order: 0.1.0~git.12 < 0.1.0 < 0.1.0+git.3.
deb_version() { printf '%s\n' "${1/-/\~}"; }

# build_time: seconds since 1970 of the commit, or of package.json where there is no git; SOURCE_DATE_EPOCH wins.
build_time() {
  if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then printf '%s\n' "$SOURCE_DATE_EPOCH"; else
    in_git log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/package.json"
  fi
}

# A checkout may belong to somebody else than who builds.
in_git() { git -c safe.directory="$root" -C "$root" "$@"; }
