#!/bin/sh
# collect.sh FOLDER PROGRAM ...
#
# Makes FOLDER the root of an image that has these programs of this system, the libraries that they are linked with, and nothing else
# but what both expect to find. Debian's own list of packages is kept for those that something was taken of: what looks for known
# vulnerabilities reads it.
set -eu
root=$1
shift

# Copies a file to where it stands, or what a link there leads to: a program may know by its name what it is to do.
take() {
  if [ -e "$root$1" ]; then return; fi
  mkdir -p "$root${1%/*}"
  cp --dereference --preserve=mode,ownership "$1" "$root$1"
  echo "$1" >>"$taken"
}

find_program() {
  for folder in /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
    if [ -x "$folder/$1" ]; then
      echo "$folder/$1"
      return
    fi
  done
  echo "collect.sh: there is no program $1: add its package to PACKAGES" >&2
  return 1
}

mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/root" "$root/mnt"
mkdir -p -m 1777 "$root/tmp" "$root/var/tmp"
ln -s ../run "$root/var/run"
# As in the system: what is in /bin and /lib may be looked for in /usr, and the other way round.
for each in bin sbin lib lib32 lib64 libx32; do
  if [ -L "/$each" ]; then
    mkdir -p "$root/usr/$each"
    ln -s "usr/$each" "$root/$each"
  fi
done

taken=$(mktemp)
for name in "$@"; do
  program=$(find_program "$name")
  take "$program"
  # A script has none.
  for library in $(ldd "$program" 2>/dev/null | grep --only-matching '/[^ )]*' || true); do take "$library"; done
done
for file in /etc/passwd /etc/group /etc/nsswitch.conf /etc/mke2fs.conf /etc/debian_version /usr/lib/os-release; do
  if [ -e "$file" ]; then take "$file"; fi
done
ln -s ../usr/lib/os-release "$root/etc/os-release"

# Packages name files by where they are, or by where they were before /bin and /lib became links.
mkdir -p "$root/var/lib/dpkg"
for package in $(sed -n 'p; s,^/usr/,/,p; t; s,^/,/usr/,p' "$taken" | xargs dpkg-query --search 2>/dev/null | sed '/^diversion by/d; s/: .*//; s/, /\n/g' | sort -u); do
  dpkg-query --status "$package"
  echo
done >"$root/var/lib/dpkg/status"
rm "$taken"
