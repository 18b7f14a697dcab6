# Completion of the pushca command line for bash: source it, or install it as
# /usr/share/bash-completion/completions/pushca.

# The keys of the configuration, sections left out.
_pushca_keys() {
    "$1" --help-config 2>/dev/null | sed -n 's/^| `\([^`*]*\)`.*/\1=/p'
}

# _pushca_offer COMPGEN-ARGUMENT...
_pushca_offer() {
    local found
    found=$(compgen "$@") && mapfile -t COMPREPLY <<<"$found"
}

_pushca() {
    local program=$1 current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local serve="--config --set --check-config --version --help --help-config"
    local verify="--secret-hex --config --set --help"
    COMPREPLY=()

    case $before in
    --config)
        _pushca_offer -f -- "$current"
        compopt -o filenames
        return
        ;;
    --set)
        _pushca_offer -W "$(_pushca_keys "$program")" -- "$current"
        compopt -o nospace
        return
        ;;
    --secret-hex) return ;;
    esac

    if [[ ${COMP_WORDS[1]} == token && $COMP_CWORD -gt 1 ]]; then
        if [[ $COMP_CWORD -eq 2 ]]; then
            _pushca_offer -W "verify" -- "$current"
        else
            _pushca_offer -W "$verify" -- "$current"
        fi
    elif [[ $COMP_CWORD -eq 1 && $current != -* ]]; then
        _pushca_offer -W "serve token" -- "$current"
    else
        _pushca_offer -W "$serve" -- "$current"
    fi
}

complete -F _pushca pushca
