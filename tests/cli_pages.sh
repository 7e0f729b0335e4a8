#!/bin/sh
# Manual pages and completions say all that --help says, and are right by their own rules.
# Usage: sh tests/cli_pages.sh BUILD_DIR
set -eu
. tests/cli/common.sh "$1"

commands=$("$gradc" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
for command in init check train eval run grad plot dump; do
    echo "$commands" | grep -qx $command || fail "--help does not list $command"
done

# The long options of a command, as its --help lists them.
options() {
    "$gradc" "$1" --help | sed -n 's/^  *\(-[a-z], \)*--\([a-z-]*\).*/\2/p' | grep -vxE 'help|usage'
}

# ---- manual pages
for command in '' $commands; do
    page=gradc${command:+-$command}.1
    "$gradc" --manual="$command" >"$page"
    cmp -s "$page" "$build/man/$page" || fail "the build's $page is another"
    ! grep -nE '.{2000}' "$page" || fail "$page: a line is too long"
    if command -v mandoc >/dev/null; then
        mandoc -Tlint -W warning "$page" || fail "$page is not clean"
        mandoc -Tutf8 -O width=78 "$page" | sed 's/.\x08//g' >text
        [ -z "$command" ] || for option in $(options "$command"); do
            grep -qE -e "(^|[^-])--$option([^a-z-]|\$)" text || fail "$page lacks --$option"
        done
    fi
done
command -v mandoc >/dev/null || echo 'no mandoc here: manual pages are not read'
for command in $commands; do
    grep -q "^.Xr gradc-$command 1" gradc.1 || fail "gradc.1 does not name gradc-$command"
done
for code in 0 1 2 3 130; do
    grep -qx ".It $code" gradc.1 || fail "gradc.1 lacks exit code $code"
done

# ---- completions: the build's files are what the program prints, and name every option
for row in bash:bash-completion/completions/gradc zsh:zsh/site-functions/_gradc fish:fish/vendor_completions.d/gradc.fish; do
    shell=${row%%:*}
    "$gradc" --completion="$shell" >"gradc.$shell"
    cmp -s "gradc.$shell" "$build/completions/${row#*:}" || fail "the build's completions of $shell are others"
    for command in $commands; do
        for option in $(options "$command"); do
            case $shell in
            bash) sed -n "/^    $command) names=/p" gradc.bash | grep -qE -e "--$option[= ']" ;;
            zsh) sed -n "/^    $command)/,/;;/p" gradc.zsh | grep -qE -e "'--$option[=[]" ;;
            fish) grep -qE "seen_subcommand_from $command' -l $option( |\$)" gradc.fish ;;
            esac || fail "the completions of $shell lack $command --$option"
        done
    done
    if command -v "$shell" >/dev/null; then "$shell" -n "gradc.$shell" || fail "$shell does not read its completions"
    else echo "no $shell here: its completions are not read"; fi
done

# ---- what bash offers
cat >ask.bash <<'END'
source ./gradc.bash
compopt() { :; }             # it works only where bash itself completes
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_gradc
printf '%s ' "${COMPREPLY[@]}"
END
# offers WANTED WORD...: the completions of the last word.
offers() {
    wanted=$1
    shift
    found=$(bash ask.bash "$@" | sed 's/ *$//')
    [ "$found" = "$wanted" ] || fail "bash offers '$found' for: $* (wanted: '$wanted')"
}
touch points.grad points.csv
if command -v bash >/dev/null; then
    offers 'train' gradc tr
    offers "$(echo "$commands" | tr '\n' ' ' | sed 's/ $//')" gradc help ''
    offers '--epochs=' gradc train --ep
    offers '--stage=' gradc dump points.grad --st
    offers 'kernels' gradc dump --stage = k
    offers 'ast graph grad batch opt kernels plan llvm asm' gradc dump --stage =
    offers 'f32 f64' gradc check --float =
    offers 'points.grad' gradc train points.g
    offers 'points.csv' gradc train points.grad --data = points.c
    offers 'bash' gradc --completion = b
    offers '' gradc train --epochs =
fi

# ---- what fish offers
if command -v fish >/dev/null; then
    export HOME="$folder" XDG_CONFIG_HOME="$folder" XDG_DATA_HOME="$folder"
    asked() {
        fish --no-config -c "source gradc.fish; complete -C '$1'" 2>/dev/null | cut -f 1 | sort | tr '\n' ' '
    }
    [ "$(asked 'gradc tr')" = 'train ' ] || fail "fish offers '$(asked 'gradc tr')'"
    [ "$(asked 'gradc train --ep' | tr -d =)" = '--epochs ' ] || fail "fish offers '$(asked 'gradc train --ep')'"
    [ "$(asked 'gradc dump --stage=k')" = '--stage=kernels ' ] || fail "fish offers '$(asked 'gradc dump --stage=k')'"
fi

# ---- bad use, and help
expect 2 "can be one of bash|zsh|fish, not 'tcsh'" "$gradc" --completion=tcsh
expect 2 "can be one of" "$gradc" --completion
expect 2 "no command 'nothing'" "$gradc" --manual=nothing
expect 2 "no command 'nothing'" "$gradc" help nothing
expect 2 'the command comes first' "$gradc" --float=f64 check points.grad
expect 0 'Usage: gradc train' "$gradc" help train
expect 0 'Usage: gradc COMMAND' "$gradc" help
for command in $commands; do
    expect 0 'Examples:' "$gradc" "$command" --help
    awk '{ if (length($0) > 80) exit 1 }' out || fail "gradc $command --help is wider than 80 columns"
done
finish
