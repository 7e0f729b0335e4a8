#!/bin/sh
# The examples of the reference, the README and the lessons do what is said of them.
# Usage: sh tests/reference.sh BUILD_DIR [--bless]
#
# The documents' fenced blocks are run from the first to the last, in an empty folder for each document, which looks like
# the project's root: `runtime` and `examples` are there, `build/release` is BUILD_DIR, and gradc is in PATH.
#   gradc              a program: `gradc check` finds nothing to say about it, not even a warning
#   gradc NAME         the same, and it is kept as the file NAME for the commands below it
#   gradc NAME refused, gradc NAME warned   it has errors, or warnings: a command below it shows them
#   gradc context      what fragments stand in, in place of its line `...`
#   gradc fragment     statements; `name = ...   # f32[N]` also says the value's type
#   gradc values       `expression   # = 3`, after statements that all of them share: what the expression is
#   gradc optimizers   each line is what a train block may have behind `optimizer`
#   c NAME, csv NAME   kept as the file NAME
#   text               `$ COMMAND` and what it prints; seconds are not compared. --bless writes these anew: look at the
#                      difference before you commit.
set -eu
root=$(pwd)
build=$(cd "$1" && pwd)
bless=${2:-}
work=$(mktemp -d "${TMPDIR:-/tmp}/gradc-reference-XXXXXX")
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "$document:$line: $*"
    failures=$((failures + 1))
}

# ---- what is in PATH: gradc, and a compiler that fits the build

sanitize=$(sed -n 's/^GRADC_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt")
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$build/CMakeCache.txt")
libraries=$(dirname "$(sed -n 's/^LLVM_LIBRARY:[A-Z]*=//p' "$build/CMakeCache.txt")")
mkdir "$work/bin"
ln -s "$build/gradc" "$work/bin/gradc"
sanitize=${sanitize:+-fsanitize=$sanitize $root/tests/sanitize.c}
printf '#!/bin/sh\nexec "%s" %s "$@" "-L%s"\n' "$compiler" "$sanitize" "$libraries" >"$work/bin/cc"
chmod +x "$work/bin/cc"
PATH=$work/bin:$PATH
# What a sanitizer would say of libraries that leak at exit is no subject here.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" NO_COLOR=1

# ---- blocks

# Splits a document: block.N holds a block's lines; stdout lists `N LINE INFO`.
split() {
    awk -v to="$2" '
        !inside && /^```/ { inside = 1; count++; file = to "/block." count; printf "" >file
                            print count, NR + 1, substr($0, 4); next }
        inside && /^```$/ { inside = 0; close(file); next }
        inside { print >file }
        END { if (inside) { print FILENAME ": a block is not closed" >"/dev/stderr"; exit 1 } }' "$1"
}

# check FILE CODE: what `gradc check` ends with.
check() {
    found=0
    gradc check "$1" >out 2>&1 || found=$?
    [ "$found" -eq "$2" ] && return
    fail "gradc check ends with $found instead of $2:"
    head -n 5 out
}

check_program() {
    check "$1" 0
    ! grep -q ' warning: ' out || { fail 'a warning:'; head -n 3 out; }
}

check_fragment() {
    types='(f32|f64|i32|i64|bool)(\[[^]]*\])?'
    sed -E "s/^( *)([A-Za-z_][A-Za-z_0-9]*) = (.*[^ ]) +# ($types)( .*)?\$/\1\2: \4 = \3/" "$1" |
        awk 'NR == FNR { lines[++count] = $0; next }
             /^ *\.\.\.$/ { for (i = 1; i <= count; i++) print lines[i]; next }
             { print }' - context >fragment.grad
    check fragment.grad 0
}

check_values() {
    awk '/ # = / { split($0, parts, / +# = /); print parts[2] >"expected"
                   print "fn value_" ++count "() {\n" before "return " parts[1] "\n}" >"values.grad"; next }
         { before = before $0 "\n" }' "$1"
    "$build/tests/values" values.grad >out 2>&1 || { fail 'cannot be evaluated'; head -n 5 out; return; }
    sed -i -f "$root/tests/no_proc.sed" out
    cmp -s expected out || { fail 'other values:'; diff expected out || true; }
}

# Runs the commands of a block: stdout is the block as it should be.
run_commands() {
    while IFS= read -r text; do
        case $text in '$ '*) ;; *) continue ;; esac
        echo "$text"
        sh -c "${text#??}" 2>&1 </dev/null || true
    done <"$1"
}

check_optimizers() {
    awk 'BEGIN { print "net line(x: f32[4]) -> f32 { param W: f32[4, 2]; param b: f32[2]; return sum(x @ W + b) }" }
         { print "loss l_" NR "(x: f32[4]) { return line(x)^2 }\ntrain l_" NR " { optimizer " $0 " }" }' "$1" >many.grad
    check_program many.grad
}

without_seconds() {
    sed -E 's/[0-9]+\.[0-9]+ s$/- s/' "$1"
}

check_output() {
    case $(head -n 1 "$1") in '$ '*) ;; *) return 0 ;; esac
    run_commands "$1" >new
    sed -i -f "$root/tests/no_proc.sed" new
    without_seconds "$1" >a
    without_seconds new >b
    cmp -s a b && return
    if [ "$bless" = --bless ]; then cp new "$1"; return; fi
    fail 'prints something else:'
    diff -u a b | tail -n +3 || true
}

check_block() {
    case $info in
    'gradc context') cp "$block" context ;;
    'gradc fragment') check_fragment "$block" ;;
    'gradc values') check_values "$block" ;;
    'gradc optimizers') check_optimizers "$block" ;;
    gradc) cp "$block" example.grad; check_program example.grad ;;
    gradc\ *\ refused) set -- $info; cp "$block" "$2"; check "$2" 1 ;;
    gradc\ *\ warned) set -- $info; cp "$block" "$2"; check "$2" 0 ;;
    gradc\ *) cp "$block" "${info#* }"; check_program "${info#* }" ;;
    c\ * | csv\ *) cp "$block" "${info#* }" ;;
    text) check_output "$block" ;;
    esac
}

# The document with the blocks as they now are.
join() {
    awk -v from="$2" '
        !inside && /^```/ { inside = 1; print; file = from "/block." ++count
                            while ((getline text <file) > 0) print text; close(file); next }
        inside && /^```$/ { inside = 0 }
        !inside { print }' "$1"
}

for document in README.md grammar/language.md examples/README.md; do
    folder=$work/document-$(echo "$document" | tr -c 'A-Za-z\n' _)
    mkdir -p "$folder/build"
    cd "$folder"
    ln -s "$build" build/release
    ln -s "$root/runtime" "$root/examples" .
    split "$root/$document" "$folder" >list
    while read -r number line info; do
        block=$folder/block.$number
        check_block
    done <list
    if [ "$bless" = --bless ]; then
        join "$root/$document" "$folder" >joined
        cmp -s joined "$root/$document" || cp joined "$root/$document"
    fi
    cd "$root"
done

# ---- that nothing is left out

document=grammar/language.md line=builtins
{
    grep -v builtin_refused compiler/elaborate/builtins.def | sed -n 's/^BUILTIN("\([^"]*\)", *"\([^"]*\)".*/\1 \2/p' |
        sed 's/ /(/; s/ /, /g; s/$/)/'
    sed -n 's/.*"\([a-z][a-z_0-9]*\)", *[a-z_0-9]*)$/\1(/p' compiler/graph/ops.def | grep -vxE '(and|or|not|cast)\('
} >"$work/builtins"
while read -r signature; do
    grep -qF "\`$signature" $document || fail "the table of builtins lacks \`$signature"
done <"$work/builtins"

line=library
split $document "$work" >"$work/list"
while read -r number _ info; do
    case $info in gradc*) cat "$work/block.$number" ;; esac
done <"$work/list" >"$work/examples"
for name in $(sed -n 's/^\(fn\|net\|optimizer\) \([a-z_0-9]*\).*/\2/p' compiler/library/*.grad | sort -u); do
    grep -qw "$name" "$work/examples" || fail "no example calls the library's '$name'"
done
[ "$failures" -eq 0 ] || exit 1
