# shellcheck shell=bash
# Debian and Ubuntu packages as a source of files: downloaded and unpacked, never installed on the host.

# fetch_closure CACHE PACKAGE...: downloads the packages with everything they depend on, whatever the
# host has installed (apt is told that nothing is), and prints the paths of the .deb files.
fetch_closure() {
  local cache=$1
  shift
  mkdir -p "$cache/debs/partial"
  : >"$cache/nothing-installed"
  local options=(-qq -y -o "Dir::State::status=$cache/nothing-installed" -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
    -o APT::Sandbox::User=root -o APT::Install-Recommends=false -o APT::Install-Suggests=false -o Debug::NoLocking=true)
  mkdir -p "$cache/none/partial"
  local names
  names=$(apt-get "${options[@]}" -o "Dir::Cache::archives=$cache/none" --print-uris install "$@" | awk '{print $2}') ||
    die "apt-get cannot resolve: $* (exit $?). Are the package lists there? Run: apt-get update"
  apt-get "${options[@]}" -o "Dir::Cache::archives=$cache/debs" --download-only install "$@" >&2 ||
    die "apt-get could not download: $* (exit $?)"
  local name
  for name in $names; do printf '%s\n' "$cache/debs/$name"; done
}

# kernel_packages: the concrete packages behind the distribution's smallest kernel for virtual machines.
kernel_packages() {
  local meta image
  for meta in linux-image-cloud-amd64 linux-image-virtual linux-image-kvm linux-image-amd64; do
    image=$(apt-cache depends --important "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n1)
    [ -n "$image" ] || continue
    printf '%s\n' "$image"
    # Ubuntu keeps the modules in a package of their own.
    apt-cache depends --important "$image" | sed -n 's/^ *Depends: \(linux-modules-[0-9].*\)$/\1/p'
    return
  done
  die "apt offers no kernel for virtual machines (linux-image-cloud-amd64, linux-image-virtual …). Run: apt-get update"
}

# fetch_kernel CACHE: downloads it and prints the paths of the .deb files.
fetch_kernel() {
  local cache=$1 packages package file
  mapfile -t packages < <(kernel_packages)
  [ ${#packages[@]} -gt 0 ] || return 1
  mkdir -p "$cache/kernel"
  for package in "${packages[@]}"; do
    (cd "$cache/kernel" && apt-get -qq -o APT::Sandbox::User=root download "$package" >&2) ||
      die "apt-get download $package failed (exit $?)"
    file=$(cd "$cache/kernel" && find . -name "${package}_*.deb" -printf '%T@ %f\n' | sort -n | tail -n1 | cut -d' ' -f2)
    printf '%s\n' "$cache/kernel/$file"
  done
}

# unpack DEB... -- TREE: extracts packages into a tree whose /bin, /sbin and /lib are links into /usr.
unpack() {
  local debs=()
  while [ "$1" != -- ]; do debs+=("$1"); shift; done
  local tree=$2 directory deb
  for directory in bin sbin lib lib64; do
    mkdir -p "$tree/usr/$directory"
    [ -e "$tree/$directory" ] || ln -s "usr/$directory" "$tree/$directory"
  done
  for deb in "${debs[@]}"; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$tree" --keep-directory-symlink --no-same-owner ||
      die "cannot unpack $deb"
  done
}
