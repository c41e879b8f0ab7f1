# shellcheck shell=bash
# What both image builders share: messages, preconditions, and publishing the result.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
  printf '%s: error: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# need_tools TOOL=PACKAGE...: one line that names every package that is missing.
need_tools() {
  local spec missing=()
  for spec in "$@"; do
    command -v "${spec%%=*}" >/dev/null || missing+=("${spec#*=}")
  done
  [ ${#missing[@]} -eq 0 ] || die "missing tools; run: apt-get install -y --no-install-recommends ${missing[*]}"
}

# inputs_digest FILE_OR_DIR...: changes when anything that shapes the image changes.
inputs_digest() {
  {
    (. /etc/os-release && printf '%s %s\n' "$ID" "${VERSION_ID:-rolling}")
    dpkg --print-architecture
    find "$@" -type f -printf '%m %p\0' | sort -z | while IFS= read -r -d '' entry; do
      printf '%s ' "${entry%% *}"
      sha256sum <"${entry#* }"
    done
  } | sha256sum | cut -d' ' -f1
}

# up_to_date QCOW2 DIGEST: the published image was made from exactly these inputs.
up_to_date() {
  [ -f "$1" ] && [ -f "$1.json" ] && [ "$(jq -r .inputs "$1.json" 2>/dev/null)" = "$2" ] &&
    [ "$(jq -r .size "$1.json")" = "$(stat -c %s "$1")" ]
}

# publish RAW OUTPUT DIGEST MIN_RAM_MB DESCRIPTION_JSON
# Compresses RAW to qcow2 beside OUTPUT and moves it into place in one step. A new image is a new
# inode and read-only, so nobody's overlay sees its backing file change under it.
publish() {
  local raw=$1 output=$2 digest=$3 min_ram=$4 description=$5 temporary
  mkdir -p "$(dirname "$output")"
  temporary=$(mktemp -p "$(dirname "$output")" ".${output##*/}.XXXXXX")
  qemu-img convert -q -f raw -O qcow2 -c -o lazy_refcounts=off "$raw" "$temporary"
  jq -n --argjson d "$description" --arg file "${output##*/}" --arg inputs "$digest" \
    --arg sha256 "$(sha256sum <"$temporary" | cut -d' ' -f1)" \
    --argjson size "$(stat -c %s "$temporary")" --argjson virtual "$(stat -c %s "$raw")" \
    --argjson min_ram "$min_ram" \
    '{file: $file, disk_format: "qcow2", container_format: "bare", sha256: $sha256, size: $size,
      virtual_size: $virtual, min_ram: $min_ram, min_disk: (($virtual / 1073741824) | ceil),
      inputs: $inputs} + $d' >"$temporary.json"
  chmod 0444 "$temporary" "$temporary.json"
  mv -f "$temporary" "$output"
  mv -f "$temporary.json" "$output.json"
}
