# Sourced by ./run, ./test, ./bench and fuzz/run: the Debian packages they need, and how a missing one is installed.
# (curl is for whoever tries the server that ./run has started.)

build_packages=(gcc g++ libc6-dev cmake ninja-build pkgconf libsimdjson-dev
    libyaml-dev libssl-dev zlib1g-dev libhiredis-dev curl)
test_packages=(clang clang-format clang-tidy libcmocka-dev python3-pytest
    python3-websockets python3-yaml jq openssl
    redis-server nginx iproute2)
bench_packages=(nginx libnginx-mod-nchan nats-server mosquitto wrk python3)
cluster_packages=(redis-server nginx)
guard_packages=(valgrind python3)
# libFuzzer, and what names the lines in its reports
fuzz_packages=(clang libclang-rt-14-dev llvm)

# as_root COMMAND...: as the superuser, by sudo where needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

policy=/usr/sbin/policy-rc.d # is asked by Debian before the service of a new package is started

# without_services COMMAND...: as the superuser; what it installs is not started. (It is, like any other, when the machine
# starts anew.) What stood in place of the policy is put back, also when that is interrupted, and by the next one if
# it is killed.
without_services() {
    as_root sh -c '
        policy=$1 kept=$1.kept
        shift
        exists() { [ -e "$1" ] || [ -L "$1" ]; }
        put_back() {
            if exists "$kept"; then
                mv -f "$kept" "$policy"
            elif grep -qs "tools/packages.sh" "$policy"; then
                rm -f "$policy"
            fi
        }
        put_back
        trap put_back EXIT
        trap "exit 1" HUP INT TERM
        if exists "$policy"; then mv "$policy" "$kept"; fi
        printf "#!/bin/sh\n# There while tools/packages.sh installs.\nexit 101\n" >"$policy" && chmod 755 "$policy" &&
            "$@"' sh "$policy" "$@"
}

# need_packages NAME...: installs those that are missing and says which.
need_packages() {
    local name present missing=()
    if ! command -v dpkg-query apt-get >/dev/null; then
        echo "Not a Debian system: installing nothing. Needed (Debian's names): $*" >&2
        return 0
    fi
    present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
    for name; do
        case $'\n'$present$'\n' in
        *$'\n'"installed $name"$'\n'*) ;;
        *) missing+=("$name") ;;
        esac
    done
    [ ${#missing[@]} -gt 0 ] || return 0

    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
        echo "Missing packages: ${missing[*]}" >&2
        echo "This is not root and there is no sudo. As root, run: apt-get install ${missing[*]}" >&2
        return 1
    fi
    echo "Installing missing packages: ${missing[*]}"
    # stdin is not ours to read, and the log is shown only when something went wrong
    local log
    log=$(mktemp)
    if { as_root apt-get -q update &&
        without_services env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
            -o DPkg::Lock::Timeout=300 install "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 30 "$log" >&2
        rm -f "$log"
        echo "Could not install: ${missing[*]}" >&2
        return 1
    fi
}
