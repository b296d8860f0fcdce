# What every script begins with: strict mode, the repository root as the folder, --help.
#
# --help prints the comment at the top of the script that was started, so that the help and the
# file cannot drift apart.
#
#   source "$(dirname "${BASH_SOURCE[0]}")/prelude.sh"
# SPDX-License-Identifier: Apache-2.0
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
SCRIPT="$(cd "$(dirname "$0")" && pwd)/$(basename "$0")"
cd "$ROOT"

# Prints the opening comment of the script.
print_help() {
  sed -n '2,/^[^#]/ { /^# SPDX/d; s/^# \{0,1\}//p; }' "$SCRIPT"
}

for argument in "$@"; do
  case "$argument" in
    -h | --help)
      print_help
      exit 0
      ;;
    --) break ;;
  esac
done

# Says in one short line what is being done, with the seconds since the script began.
say() {
  printf '[%4ds] %s\n' "$SECONDS" "$*" >&2
}

# Ends with a sentence. Exit 2, as for bad input and wrong use.
fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 2
}

# Refuses an option that the script does not know.
unknown_option() {
  fail "there is no option '$1'; script/${SCRIPT##*/script/} --help lists them"
}

# How many jobs at once: as many as this process may use cores.
jobs_count() {
  printf '%s' "${EVERGROVE_JOBS:-$(nproc)}"
}
