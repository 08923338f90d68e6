#!/bin/sh
# Installs the Debian packages of packages.txt that are missing. Needs root only where something is missing.
set -eu
list="$(dirname "$0")/packages.txt"
missing=""
# shellcheck disable=SC2013  # a line is a word
for package in $(grep -v '^#' "$list"); do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

echo "missing Debian packages:$missing" >&2
if [ "$(id -u)" -ne 0 ]; then
  echo "error: only root can install them" >&2
  echo "  hint: sudo apt-get install$missing" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086  # a list of words
apt-get install -y -qq --no-install-recommends $missing
