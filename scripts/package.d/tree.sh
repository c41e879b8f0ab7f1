# shellcheck shell=bash
# The tree that both packages carry. Needs $root, SOURCE_DATE_EPOCH and stop_with.

# fill_tree TREE VERSION NODE LICENCE
fill_tree() {
  local tree=$1 version=$2 node=$3 licence=$4 shell
  mkdir -p "$tree/bin"
  strip -o "$tree/bin/node" "$node"
  cp "$root/scripts/package.d/maru" "$tree/bin/maru"
  chmod 755 "$tree/bin/node" "$tree/bin/maru"
  node "$root/dist/scripts/package.d/stage.js" --root "$root" --into "$tree" --version "$version" --node-licence "$licence"
  find "$tree/node_modules" -name '*.node' -exec strip --strip-unneeded {} +

  # from here on by what is shipped: what is missing in it is found now
  check_tree "$tree"
  mkdir -p "$tree/share/man/man1" "$tree/share/bash-completion/completions" "$tree/share/zsh/vendor-completions" \
    "$tree/share/fish/vendor_completions.d"
  "$tree/bin/maru" man | gzip -9n >"$tree/share/man/man1/maru.1.gz"
  "$tree/bin/maru" completion bash >"$tree/share/bash-completion/completions/maru"
  "$tree/bin/maru" completion zsh >"$tree/share/zsh/vendor-completions/_maru"
  "$tree/bin/maru" completion fish >"$tree/share/fish/vendor_completions.d/maru.fish"

  cp "$root"/README*.md "$tree/share/doc/maru/"
  cp "$root/templates/debian/copyright" "$tree/share/doc/maru/copyright"
  cp /usr/share/common-licenses/Apache-2.0 "$tree/share/doc/maru/LICENSE"
  find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# check_tree TREE: the program in it starts, and controller, agent and every module that they name can be loaded.
check_tree() {
  # shellcheck disable=SC2016 # JavaScript
  (cd / && "$1/bin/node" --input-type=module -e '
    import { readFileSync } from "node:fs";
    import { createRequire } from "node:module";
    const tree = process.argv[1];
    const find = createRequire(`${tree}/package.json`);
    const { dependencies } = JSON.parse(readFileSync(`${tree}/package.json`, "utf8"));
    for (const name of Object.keys(dependencies)) await import(find.resolve(name));
    for (const part of ["src/controller", "src/cli/program", "agents/main"]) await import(`${tree}/dist/${part}.js`);
    new (find("better-sqlite3"))(":memory:").close();
  ' "$1") || {
    stop_with "the program does not load from what would be shipped (see above)"
    return 1
  }
}

# make_tarball TREE FILE
make_tarball() {
  local level=6
  [ -z "${fast:-}" ] || level=1
  # two threads whatever the machine has: the number of them shapes the file
  archive "${1%/*}" "${1##*/}" | xz -T2 "-$level" >"$2"
}

# archive DIRECTORY NAME: a tar on stdout, the same for the same content.
archive() {
  tar -C "$1" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go=rX \
    --mtime="@$SOURCE_DATE_EPOCH" -c "$2"
}
