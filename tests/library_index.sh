#!/bin/sh
# compiler/library/README.md is the index of the library, made of the comments in its files: this makes it anew and
# compares. Usage: sh tests/library_index.sh BUILD_DIR [--bless]
set -eu
bless=${2:-}
index=compiler/library/README.md
made=$(mktemp)
trap 'rm -f "$made"' EXIT

cat >"$made" <<'END'
# The library

What every program can use without saying so, written in the language itself: read a function's file to see how it is
defined, and copy it to have another. How functions, nets and optimizers are used says
[the reference](../../grammar/language.md); its section on builtins lists what is not written in the language.

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
        sections = sections "| name | what it is |\n|---|---|\n" rows "\n```gradc\n" substr(code, 2) "```\n"
        names = rows = code = ""
    }
    FNR == 1 { end_file(); begin_file() }
    /^#/ { comment = comment $0 "\n"; text = text (text == "" ? "" : " ") substr($0, 3); next }
    /^(fn|net|optimizer|loss|metric|const) / { inside = 1; signature = ""
        declared = $2; sub(/[(<].*/, "", declared)
        if (text == "") { print FILENAME ":" FNR ": " declared " has no comment" >"/dev/stderr"; failed = 1 }
        if (index(names ",", "`" declared "`,") == 0) names = names ", `" declared "`"
        rows = rows "| `" declared "` | " plain(first_sentence(text)) " |\n" }
    inside { line = $0; ends = sub(/ *\{.*$/, "", line); signature = signature line "\n"
        if (ends) { code = code "\n" comment signature; inside = 0 } }
    { if (opening && text != "" && !inside && code == "") { sections = sections plain(text) "\n\n"; opening = 0 }
      if (!inside) comment = text = "" }
    END { end_file()
        printf "| file | what is in it |\n|---|---|\n%s%s", files, sections
        exit failed }' compiler/library/*.grad >>"$made"

if [ "$bless" = --bless ]; then
    cp "$made" "$index"
elif ! diff -u "$index" "$made"; then
    echo "$index is not up to date: make it with sh tests/library_index.sh BUILD_DIR --bless"
    exit 1
fi
