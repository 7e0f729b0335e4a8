#!/bin/sh
# Installs what building gradc needs and this machine lacks; with the argument `tests`, also what only the tests use.
# Debian's packages, by apt-get, as root or through sudo. Where nothing is missing it does nothing.
set -eu

packages='gcc libc6-dev cmake ninja-build flex bison llvm-19-dev libjansson-dev libzip-dev'
commands='gcc cmake ninja flex bison llvm-config-19'
if [ "${1:-}" = tests ]; then
    packages="$packages clang-format-19 g++ libmpfr-dev pkgconf gnuplot-nox mandoc zsh fish"
fi

fail() {
    echo "setup: $*" >&2
    exit 1
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    # Not a Debian: whoever runs it installs by hand.
    for command in $commands; do
        command -v "$command" >/dev/null || fail "there is no apt-get here; please install '$command' (needed: $commands)"
    done
    exit 0
fi

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        fail "these packages are missing, and installing them takes root or sudo: apt-get install$missing"
    as_root=sudo
fi

echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086   # as_root may be empty, and missing is a list
{
    $as_root apt-get -qq update || fail "apt-get update failed"
    $as_root apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install$missing (Debian 12 has them all in its main archive)"
}
