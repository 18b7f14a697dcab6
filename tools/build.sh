# Sourced by ./run and ./bench: builds the release preset, and shows little of it.
# Wanted from the caller: root, the folder of this tree.

build=$root/build/release

# In a fresh tree, in one that was moved, and once when npm has come, which brings Swagger UI.
must_configure() {
    local cache=$build/CMakeCache.txt
    [ -f "$build/build.ninja" ] && grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache" || return 0
    command -v npm >/dev/null && ! grep -q '^PUSHCA_SWAGGER_TRIED' "$cache"
}

configure() {
    mkdir -p "$build"
    echo "Configuring the release build"
    # --fresh, which compiles all again, only where the tree was moved
    if ! (cd "$root" && { cmake --preset release || cmake --preset release --fresh; }) \
        >"$build/configure.log" 2>&1 </dev/null; then
        tail -n 30 "$build/configure.log" >&2
        return 1
    fi
}

# progress WHAT: shows what ninja compiles, on a terminal in one line, and what it complains about; nothing else.
progress() {
    local line shown=
    while IFS= read -r line; do
        case $line in
        "ninja: Entering "* | "ninja: no work "* | "["*"] Re-"* | "-- "*) continue ;;
        "["*"] "*)
            [ "$shown" ] || echo "Building $1"
            shown=1
            if [ -t 1 ]; then printf '\r\033[K%.70s' "$line"; else echo "$line"; fi
            ;;
        *) echo "$line" ;;
        esac
    done
    if [ "$shown" ] && [ -t 1 ]; then printf '\r\033[K'; fi
}

# build_release WHAT TARGET...: WHAT is for the reader.
build_release() {
    local what=$1
    shift
    if must_configure; then configure || return 1; fi
    ninja -C "$build" "$@" </dev/null | progress "$what"
}
