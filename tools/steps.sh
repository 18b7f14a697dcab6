# Sourced by ./test: runs the steps, keeps what they print, counts what they tested.
# Wanted from the caller: logs, the folder for it all.

# counts KIND STATUS LOG: prints "PASSED FAILED SKIPPED", as the runner itself counted.
counts() {
    local passed=0 failed=0 skipped=0 line
    case $1 in
    ctest)
        line=$(grep -aE '% tests passed, [0-9]+ tests failed out of [0-9]+' "$3" | tail -n 1)
        if [[ $line =~ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
            failed=${BASH_REMATCH[1]}
            passed=$((BASH_REMATCH[2] - failed))
        fi
        ;;
    pytest)
        # what failed and was run again has a line of its own: what it says of failures holds
        while read -r line; do
            failed=0
            if [[ $line =~ ([0-9]+)\ passed ]]; then passed=$((passed + BASH_REMATCH[1])); fi
            if [[ $line =~ ([0-9]+)\ failed ]]; then failed=${BASH_REMATCH[1]}; fi
            if [[ $line =~ ([0-9]+)\ error ]]; then failed=$((failed + BASH_REMATCH[1])); fi
            if [[ $line =~ ([0-9]+)\ skipped ]]; then skipped=$((skipped + BASH_REMATCH[1])); fi
        done < <(grep -aE '[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s' "$3")
        ;;
    check) if [ "$2" -eq 0 ]; then passed=1; fi ;;
    esac
    # A runner that broke down has failed, whatever it counted.
    if [ "$2" -ne 0 ] && [ "$failed" -eq 0 ]; then failed=1; fi
    echo "$passed $failed $skipped"
}

# say LINE: a line of its own, also while a terminal shows the step at work.
say() {
    if [ -t 1 ]; then printf '\r\033[K%s\n' "$1"; else printf '%s\n' "$1"; fi
}

# trouble LOG: the end of it without what ninja built well and where ctest looked for a program.
trouble() {
    grep -avE '^\[[0-9]+/[0-9]+\] |^-- |^(Looked in|Unable to find|Could not find exec)|^/?[^ ]+/[^ ]+$' "$1" |
        tail -n 120 | sed 's/^/       | /'
}

# step KIND NAME COMMAND...: runs the command and prints one line about it, then, when it failed, the
# end of what it said; lines that begin with "figure: " are repeated. KIND is check, ctest or pytest, or
# build: that counts only when it fails.
# REPORTS is where the command may leave files; one that is not empty fails it.
step() {
    local kind=$1 name=$2 file=${2// /-} begun=$SECONDS status=0 word=ok tests= report
    local passed failed skipped
    shift 2
    local log=$logs/$file.log
    if [ -t 1 ]; then printf '\r\033[K       %s ...' "$name"; fi
    REPORTS=$logs/$file.report "$@" >"$log" 2>&1 </dev/null || status=$?
    for report in "$logs/$file.report"*; do
        if [ -s "$report" ]; then
            cat "$report" >>"$log"
            status=1
        fi
    done
    read -r passed failed skipped <<<"$(counts "$kind" "$status" "$log")"
    echo "$passed $failed $skipped" >>"$logs/results"

    if [ "$failed" -gt 0 ]; then word=FAILED; fi
    case $kind in
    ctest | pytest) tests="$passed passed, $failed failed, $skipped skipped" ;;
    esac
    say "$(printf '%-6s %-28s %4d s   %s' $word "$name" $((SECONDS - begun)) "$tests")"
    grep -a '^figure: ' "$log" | sed 's/^figure:/      /'
    if [ "$failed" -gt 0 ]; then
        trouble "$log"
    elif [ "$skipped" -gt 0 ]; then
        grep -a '^SKIPPED' "$log" | sed 's/^/       /'
    fi
    return 0
}

# summary: the closing line; status 1 when anything failed, or nothing was tested.
summary() {
    awk '{ p += $1; f += $2; s += $3 }
        END {
            printf "%d passed, %d failed%s\n", p, f, s ? sprintf(", %d skipped", s) : ""
            exit f > 0 || p == 0
        }' "$logs/results"
}
