#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. With arguments, only these parts:
# checks, tidy, unit, sim, threads, system; or coverage, which is no part of the whole.
set -uo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
root=$PWD
logs=$root/build/test
. tools/packages.sh
. tools/steps.sh

all=(checks tidy unit sim threads system)
for part; do
    if [[ " ${all[*]} coverage " != *" $part "* ]]; then
        echo "usage: ./test [PART]...   parts: ${all[*]}, and coverage"
        [ "$part" = --help ] && exit 0 || exit 2
    fi
done
[ $# -gt 0 ] || set -- "${all[@]}"
parts=("$@")

# wants PART...: is one of these to run?
wants() {
    local part
    for part; do
        if [[ " ${parts[*]} " == *" $part "* ]]; then return 0; fi
    done
    return 1
}

build_preset() {
    # --fresh for a build folder that came from elsewhere; -k 0 to see every error
    { cmake --preset "$1" || cmake --preset "$1" --fresh; } && cmake --build --preset "$1" -- -k 0
}

run_ctest() { # PRESET ARGUMENT...
    ctest --preset "$1" --no-tests=error --output-on-failure -j "$(nproc)" "${@:2}"
}

# What a sanitizer finds in a server goes to a file, and the file fails the step.
run_pytest() { # PRESET ARGUMENT...
    PUSHCA=$root/build/$1/pushca \
        ASAN_OPTIONS=log_path=$REPORTS:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=log_path=$REPORTS:print_stacktrace=1 \
        TSAN_OPTIONS=log_path=$REPORTS:second_deadlock_stack=1 \
        /usr/bin/python3 -m pytest -q -rs --color=no "${@:2}"
}

# The thread sanitizer cannot live with every random layout of memory.
fixed_layout() {
    if setarch -R true 2>/dev/null; then
        export -f run_ctest run_pytest
        root=$root setarch -R bash -c '"$@"' bash "$@"
    else
        "$@"
    fi
}

run_checks() {
    local check
    for check in format rooms size headers banned; do
        step check "$check" "tools/check-$check"
    done
    step pytest "checks of the checks" /usr/bin/python3 -m pytest -q -rs test/tools
}

run_system() {
    # Mostly waiting, so two at a time.
    step pytest "system release" run_pytest release test/system &
    {
        step pytest "system $memory" run_pytest $memory test/system
        step pytest "system tsan" fixed_layout run_pytest tsan -m tsan test/system
    } &
    wait
}

run_coverage() {
    need_packages gcovr
    step build "build cov" build_preset cov
    step ctest "unit and sim cov" run_ctest cov
    step pytest "system cov" run_pytest cov test/system
    gcovr --root . --filter src/ --object-directory build/cov --print-summary --sort-percentage
}

memory=asan
if [ ! -d /proc/self ]; then
    echo "There is no /proc, which the address sanitizer needs: testing without it"
    memory=dev
fi
mkdir -p "$logs"
rm -f "$logs"/*
export PYTHONDONTWRITEBYTECODE=1
ulimit -n "$(ulimit -Hn)" 2>/dev/null

if ! need_packages "${build_packages[@]}" "${test_packages[@]}"; then
    echo "0 passed, 1 failed"
    exit 1
fi
if wants checks; then run_checks; fi
if wants tidy; then
    step build "build clang" build_preset clang
    step check tidy tools/check-tidy
fi
if wants unit sim system; then step build "build $memory" build_preset $memory; fi
if wants unit; then step ctest unit run_ctest $memory -R '^unit-'; fi
if wants sim; then step ctest sim run_ctest $memory -R '^sim-'; fi
if wants threads system; then step build "build tsan" build_preset tsan; fi
if wants threads; then step ctest threads fixed_layout run_ctest tsan -R '^unit-'; fi
if wants system; then
    step build "build release" build_preset release
    run_system
fi
if wants coverage; then run_coverage; fi
summary
