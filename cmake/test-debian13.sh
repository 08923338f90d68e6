#!/bin/sh
# The README's two commands in a root of Debian 13, on a fresh clone of what is committed here:
#
#   cmake/test-debian13.sh ROOT [MIRROR]
#
# ROOT is a folder for the root, made by debootstrap where it does not exist, and kept; a second call installs, builds
# and tests there again. MIRROR is where Debian's packages come from: by default, where this machine's do.
# Needs root, debootstrap, and a file system for ROOT that is mounted with exec and dev.
set -eu

fail() {
  echo "error: $1" >&2
  exit 1
}

if [ $# -lt 1 ] || [ $# -gt 2 ]; then fail "usage: $0 ROOT [MIRROR]"; fi
[ "$(id -u)" -eq 0 ] || fail "only root can make another root and enter it"
for program in debootstrap git unshare; do
  command -v "$program" > /dev/null || fail "'$program' is missing (Debian packages: debootstrap git util-linux)"
done
tree=$(cd "$(dirname "$0")/.." && pwd)
root=$1
# shellcheck disable=SC2016  # apt expands
mirror=${2:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | head -n 1)}
[ -n "$mirror" ] || fail "apt-get knows no mirror of Debian (before 'apt-get update'?): give one after ROOT"

if [ ! -e "$root" ]; then
  # Under another name until it is whole. debootstrap itself ends the mounts that it makes.
  rm -rf "$root.part"
  mkdir -p "$(dirname "$root")"
  debootstrap --variant=minbase --include=ca-certificates,make trixie "$root.part" "$mirror"
  mv "$root.part" "$root"
fi
[ "$(cut -d. -f1 "$root/etc/debian_version")" = 13 ] || fail "'$root' is no root of Debian 13"

rm -rf "$root/backplane"
git clone --quiet --no-hardlinks "$tree" "$root/backplane"
# The mounts belong to this process and its children alone: they are gone with the last of them, however it ends.
# shellcheck disable=SC2016  # the inner shell expands
exec unshare --mount --propagation private sh -euc '
  mount -t proc proc "$1/proc"
  mount --rbind /sys "$1/sys"
  mount --rbind /dev "$1/dev"
  exec chroot "$1" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    make --no-print-directory -C /backplane run test
' sh "$root"
