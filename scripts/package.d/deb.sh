# shellcheck shell=bash
# The Debian package. Needs $root, SOURCE_DATE_EPOCH, stop_with and packages_for.

# make_deb TREE WORK VERSION ARCH FILE: the tree below /usr/lib/maru, with its share/ and the units where the system looks for them.
make_deb() {
  local tree=$1 deb=$2 version=$3 arch=$4 file=$5 level=6
  [ -z "${fast:-}" ] || level=1
  mkdir -p "$deb/DEBIAN" "$deb/usr/lib/maru" "$deb/usr/lib/systemd/system" "$deb/usr/bin"
  cp -a "$tree/." "$deb/usr/lib/maru/"
  mv "$deb/usr/lib/maru/share" "$deb/usr/share"
  # Debian has the text of this one, and wants long texts compressed
  rm "$deb/usr/share/doc/maru/LICENSE"
  gzip -9n "$deb/usr/share/doc/maru/THIRD-PARTY"
  changelog "$version" | gzip -9n >"$deb/usr/share/doc/maru/changelog.gz"
  cp -a "$tree"/templates/systemd/*.service "$deb/usr/lib/systemd/system/"
  ln -s ../lib/maru/bin/maru "$deb/usr/bin/maru"
  install -D -m 644 "$root/templates/debian/lintian-overrides" "$deb/usr/share/lintian/overrides/maru"

  (cd "$deb" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$deb/DEBIAN/md5sums"
  cp "$root"/templates/debian/{postinst,prerm,postrm} "$deb/DEBIAN/"
  control "$deb" "$version" "$arch" >"$deb/DEBIAN/control"
  chmod 644 "$deb"/DEBIAN/{control,md5sums}
  chmod 755 "$deb"/DEBIAN/{postinst,prerm,postrm}
  find "$deb" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz "-z$level" --build "$deb" "$file" >/dev/null
}

# control PACKAGE VERSION ARCH
control() {
  local text
  text=$(cat "$root/templates/debian/control")
  text=${text//@VERSION@/"$2"}
  text=${text//@ARCH@/"$3"}
  text=${text//@MAINTAINER@/"$maintainer"}
  text=${text//@SIZE@/"$(du -sk --apparent-size "$1/usr" | cut -f1)"}
  text=${text//@DEPENDS@/"$(library_dependencies "$1")"}
  text=${text//@RECOMMENDS@/"$(listed controller)"}
  text=${text//@SUGGESTS@/"$(listed host)"}
  printf '%s\n' "$text"
}

maintainer=${MARU_MAINTAINER:-Maru maintainers <maru@localhost.localdomain>}

# library_dependencies PACKAGE: the system's libraries that Node and the addons need, in the versions that they need.
library_dependencies() {
  local dir=$1/../shlibs
  mkdir -p "$dir/debian"
  printf 'Source: maru\n\nPackage: maru\nArchitecture: any\n' >"$dir/debian/control"
  # shellcheck disable=SC2046 # paths without spaces
  (cd "$dir" && dpkg-shlibdeps -O --ignore-missing-info $(find ../deb/usr/lib/maru -name '*.node' -printf '-e%p ') -e../deb/usr/lib/maru/bin/node 2>/dev/null) |
    sed -n 's/^shlibs:Depends=//p'
}

# listed PURPOSE: the packages that `maru install` wants, as a list of dependencies.
listed() {
  local essential
  # what every system has is not named
  # shellcheck disable=SC2016 # dpkg-query expands these
  essential=$(dpkg-query -W -f '${Package} ${Essential}\n' | awk '$2 == "yes" { print $1 }')
  packages_for "$1" | grep -vxF "$essential" | sed 's/|/ | /g' | paste -sd, | sed 's/,/, /g'
}

changelog() {
  printf 'maru (%s) unstable; urgency=medium\n\n  * Built from commit %s.\n\n -- %s  %s\n' "$1" \
    "$(in_git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)" "$maintainer" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")"
}
