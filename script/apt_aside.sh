# apt_aside FOLDER ARCHITECTURE ARGUMENTS...: apt-get with a state of its own.
#
# It reads this machine's Debian sources (source packages too), for any architecture, and can fetch
# packages' files into the current folder. It knows of nothing installed and installs nothing.
#
#   source "$ROOT/script/apt_aside.sh"
#   apt_aside build/apt arm64 update
#   (cd build/debs && apt_aside "$ROOT/build/apt" arm64 download libtbb12)
# SPDX-License-Identifier: Apache-2.0
apt_aside() {
  local state architecture="$2" source target
  mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/sources"
  state="$(cd "$1" && pwd)"
  shift 2
  : >>"$state/status"
  # Only Debian's own sources: others may not have this architecture.
  for source in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
    if grep -qsE '/debian/?( |$)' "$source"; then
      target="$state/sources/$(basename "$source")"
      case "$source" in
        *.sources) sed 's/^Types: *deb *$/Types: deb deb-src/' "$source" >"$target" ;;
        *.list) sed -n '/^deb /{p;s/^deb /deb-src /;p}' "$source" >"$target" ;;
      esac
    fi
  done
  apt-get -qq -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" \
    -o Dir::State="$state" -o Dir::State::Lists="$state/lists" \
    -o Dir::State::status="$state/status" \
    -o Dir::Cache="$state" -o Dir::Cache::archives="$state/archives" \
    -o Dir::Etc::sourceparts="$state/sources" -o Dir::Etc::sourcelist=/dev/null \
    -o APT::Sandbox::User="$(id -un)" "$@"
}
