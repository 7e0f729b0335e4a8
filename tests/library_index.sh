#!/bin/sh
# compiler/library/README.md is the index of the library, made of the comments in its files: this makes it anew and
# compares. Usage: sh tests/library_index.sh BUILD_DIR [--bless]
set -eu
build=$1
bless=${2:-}
index=compiler/library/README.md
made=$(mktemp)
orders=$(mktemp)
trap 'rm -f "$made" "$orders"' EXIT
"$build/tests/library_test" --list >"$orders"

cat >"$made" <<'END'
# The library

What every program can use without saying so, written in the language itself: read a function's file to see how it is
defined, and copy it to have another. How functions, nets and optimizers are used says
[the reference](../../grammar/language.md); its section on builtins lists what is not written in the language.

Derivatives go through all of it at any order. The column *order* says up to which one they are compared with PyTorch's in
`f64`, in reverse and forward mode, from the evaluator and from machine code (`unit.library_test`); where there is none,
the function is a part of others, draws random numbers, or has values of its own to be tested (`unit.layers_test`).
Optimizers and schedules are compared over a hundred steps of training (`unit.training_test`).

This index is made of the comments in the files, by `sh tests/library_index.sh build/debug --bless`.

END

# For each file its opening comment and a table; then, for each declaration, its comment and its signature as they stand
# there. A comment belongs to the declaration that begins on the next line.
awk '
    # Text as Markdown shows it: what is not in backticks stands for itself.
    function plain(text,    parts, count, i, result) {
        count = split(text, parts, "`")
        for (i = 1; i <= count; i++) {
            if (i % 2) gsub(/[*<|]/, "\\\\&", parts[i])
            result = result (i > 1 ? "`" : "") parts[i]
        }
        return result
    }
    function first_sentence(text) {
        return match(text, /\.( |$)/) ? substr(text, 1, RSTART) : text
    }
    function begin_file() {
        name = FILENAME; sub(/.*\//, "", name)
        anchor = name; sub(/\./, "", anchor)
        files = files "| [" name "](#" anchor ") | "
        sections = sections "\n## " name "\n\n"
        opening = 1
    }
    function end_file() {
        if (rows == "") return
        files = files substr(names, 3) " |\n"
        sections = sections "| name | what it is | order |\n|---|---|---|\n" rows "\n```gradc\n" substr(code, 2) "```\n"
        names = rows = code = ""
    }
    NR == FNR { if ($2 > 0 && $2 > order[$1] + 0) order[$1] = $2; next }
    FNR == 1 { end_file(); begin_file() }
    /^#/ { comment = comment $0 "\n"; text = text (text == "" ? "" : " ") substr($0, 3); next }
    /^(fn|net|optimizer|loss|metric|const) / { inside = 1; signature = ""
        declared = $2; sub(/[(<].*/, "", declared)
        if (text == "") { print FILENAME ":" FNR ": " declared " has no comment" >"/dev/stderr"; failed = 1 }
        if (index(names ",", "`" declared "`,") == 0) names = names ", `" declared "`"
        rows = rows "| `" declared "` | " plain(first_sentence(text)) " | " order[declared] " |\n" }
    inside { line = $0; ends = sub(/ *\{.*$/, "", line); signature = signature line "\n"
        if (ends) { code = code "\n" comment signature; inside = 0 } }
    { if (opening && text != "" && !inside && code == "") { sections = sections plain(text) "\n\n"; opening = 0 }
      if (!inside) comment = text = "" }
    END { end_file()
        printf "| file | what is in it |\n|---|---|\n%s%s", files, sections
        exit failed }' "$orders" compiler/library/*.grad >>"$made"

{
    printf '\n## Builtins\n\nWhat is not written in the language, compared in the same way:\n\n| order | builtins |\n|---|---|\n'
    for order in 2 1 0; do
        sed -n 's/^ *BUILTIN("\([a-z_]*\)".*/\1/p' compiler/elaborate/builtins.def |
            awk -v wanted="$order" 'NR == FNR { if ($2 > order[$1] + 0) order[$1] = $2; next }
                                    order[$1] + 0 == wanted { line = line " `" $1 "`" }
                                    END { if (line) print "| " (wanted ? wanted : "") " |" line " |" }' "$orders" -
    done
    printf '\n## Primitives\n\n'
    printf 'The operations of the graph that have derivatives, and up to which order these are compared with finite\n'
    printf 'differences, in reverse, forward and mixed modes (`unit.differentiate_test`):\n\n| order | operations |\n|---|---|\n'
    "$build/tests/differentiate_test" --list |
        awk '{ line[$2] = line[$2] " `" $1 "`" } END { for (i = 9; i > 0; i--) if (i in line) print "| " i " |" line[i] " |" }'
} >>"$made"

if [ "$bless" = --bless ]; then
    cp "$made" "$index"
elif ! diff -u "$index" "$made"; then
    echo "$index is not up to date: make it with sh tests/library_index.sh BUILD_DIR --bless"
    exit 1
fi
