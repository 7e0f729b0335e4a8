#!/bin/sh
# What is installed can be used from outside of the tree, in C and in C++, found by pkg-config and by CMake, shared and
# static; and shows no other names than those of gradc.h.
# Usage: sh tests/install.sh BUILD_DIR
set -eu

build=$(cd "$1" && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/gradc-install-XXXXXX")
trap 'rm -rf "$folder"' EXIT
prefix=$folder/moved

fail() {
    echo "install: $*" >&2
    exit 1
}

# Where it was installed first is not where it is used: nothing may hold on to the first place.
cmake --install "$build" --prefix "$folder/first" >"$folder/log" 2>&1 || { cat "$folder/log"; fail 'cmake --install failed'; }
mv "$folder/first" "$prefix"
libdir=$prefix/$(sed -n 's/^CMAKE_INSTALL_LIBDIR:[A-Z]*=//p' "$build/CMakeCache.txt")
for file in bin/gradc include/gradc.h include/gradc_frame.h share/man/man1/gradc.1; do
    [ -f "$prefix/$file" ] || fail "$file is not installed"
done
[ "$(find "$prefix/include" -type f | wc -l)" -eq 2 ] || fail 'other headers are installed, too'
if "$prefix/bin/gradc" --help | grep -q train; then :; else fail 'the installed program does not run'; fi

# ---- names

# The functions that the headers declare, without types and function types.
c_flags=$(sed -n 's/^GRADC_SANITIZE:[A-Z]*=\(.\)/-fsanitize=\1/p' "$build/CMakeCache.txt")
cc -E -P "$prefix/include/gradc.h" | tr '\n' ' ' | tr ';' '\n' | grep -v typedef |
    sed -n 's/.*[ *]\(gradc_[a-z_]*\)(.*/\1/p' | sort >"$folder/declared"
[ "$(wc -l <"$folder/declared")" -gt 50 ] || fail 'the declarations of gradc.h were not found'
nm -D --defined-only "$libdir/libgradc.so" | awk '$2 == "T" { print $3 }' | sed 's/@.*//' | sort >"$folder/shared"
diff "$folder/declared" "$folder/shared" || fail 'the shared library shows other names than gradc.h'
nm -g --defined-only "$libdir/libgradc.a" | awk '$2 ~ /[A-Z]/ && NF == 3 { print $3 }' | grep -v '^__' | sort >"$folder/static"
diff "$folder/declared" "$folder/static" || fail 'the static library shows other names than gradc.h'

# ---- a host, which has functions of its own that are called as gradc's insides are

mkdir "$folder/consumer"
cat >"$folder/consumer/host.c" <<'TEXT'
#include <gradc.h>
#include <stdio.h>
#include <string.h>

int simplify(int x);
int reachable(int x);
int simplify(int x) { return x + 1; }
int reachable(int x) { return simplify(x); }

int main(void) {
    const char *text = "loss squared(w: f32) { return (1 - w)^2 }\n";
    float w = 2;
    gradc_tensor array, gradient;
    gradc_program *program;
    gradc_call *call = NULL;
    memset(&array, 0, sizeof array);
    array.dtype = GRADC_F32;
    array.data = &w;
    gradc_status status = gradc_compile_text("host.grad", text, strlen(text), NULL, &program);
    if (!status) status = gradc_call_create(program, "squared", &call);
    if (!status) status = gradc_call_bind(call, 0, &array);
    if (!status) status = gradc_call_requires_grad(call, 0, true);
    if (!status) status = gradc_call_forward(call);
    if (!status) status = gradc_call_backward(call, false);
    if (!status) status = gradc_call_input_gradient(call, 0, &gradient);
    if (status) printf("%s\n", gradc_message(program));
    else printf("%g %d %s\n", *(float *)gradient.data, reachable(1), gradc_version());
    gradc_call_free(call);
    gradc_program_free(program);
    return status != GRADC_OK;
}
TEXT
cp "$folder/consumer/host.c" "$folder/consumer/host.cc"
version=$(sed -n 's/#define GRADC_VERSION "\(.*\)"/\1/p' "$prefix/include/gradc.h")

# run WHAT PROGRAM
run() {
    found=$(LD_LIBRARY_PATH=$libdir "$2") || fail "$1 ended with an error: $found"
    [ "$found" = "2 2 $version" ] || fail "$1 printed '$found'"
}

warnings='-Wall -Wextra -Wpedantic -Werror'
export PKG_CONFIG_PATH="$libdir/pkgconfig"
if command -v pkg-config >/dev/null; then
    [ "$(pkg-config --modversion gradc)" = "$version" ] || fail 'gradc.pc says another version than gradc.h'
    # shellcheck disable=SC2046,SC2086   # lists of options
    {
        cc -std=c11 $warnings $c_flags "$folder/consumer/host.c" $(pkg-config --cflags --libs gradc) -o "$folder/pkg"
        cc -std=c11 $warnings $c_flags "$folder/consumer/host.c" $(pkg-config --cflags gradc) "$libdir/libgradc.a" \
            $(pkg-config --libs --static gradc | sed 's/-lgradc//') -o "$folder/pkg_static"
        c++ -std=c++11 $warnings $c_flags "$folder/consumer/host.cc" $(pkg-config --cflags --libs gradc) -o "$folder/pkg_c++"
    }
    run 'a C host with pkg-config' "$folder/pkg"
    run 'a static C host with pkg-config' "$folder/pkg_static"
    run 'a C++ host with pkg-config' "$folder/pkg_c++"
    if ldd "$folder/pkg_static" | grep -q libgradc; then fail 'the static host needs the shared library'; fi
else
    echo 'no pkg-config here: not tried'
fi

cat >"$folder/consumer/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.16)
project(consumer LANGUAGES C CXX)
find_package(gradc 0.1 REQUIRED)
add_executable(shared host.c)
target_link_libraries(shared gradc::gradc)
add_executable(static host.c)
target_link_libraries(static gradc::static)
add_executable(cplusplus host.cc)
target_link_libraries(cplusplus gradc::gradc)
TEXT
cmake -S "$folder/consumer" -B "$folder/built" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="$c_flags" \
    -DCMAKE_CXX_FLAGS="$c_flags" >"$folder/log" 2>&1 || { cat "$folder/log"; fail 'find_package failed'; }
cmake --build "$folder/built" >"$folder/log" 2>&1 || { cat "$folder/log"; fail 'the consumer project does not build'; }
for target in shared static cplusplus; do run "the CMake target $target" "$folder/built/$target"; done
