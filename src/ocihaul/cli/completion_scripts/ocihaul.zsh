#compdef ocihaul
# Completion of ocihaul for zsh: put it as _ocihaul into a directory of $fpath, or
# eval "$(ocihaul completion zsh)"

_ocihaul() {
    local kind value help
    local -a choices parents
    while IFS= read -r kind && IFS= read -r value && IFS= read -r help; do
        case $kind in
            file) compset -P '--*='; _files && return ;;
            dir) compset -P '--*='; _files -/ && return ;;
            value)
                # _describe takes backslashes away, and splits at colons.
                value=${${value//\\/\\\\}//:/\\:}
                if [[ $value == */ ]]; then
                    parents+=("$value")
                else
                    choices+=("$value${help:+:$help}")
                fi
                ;;
        esac
    done < <(_OCIHAUL_COMPLETE=zsh ${words[1]} "${(@Q)words[2,CURRENT]}" 2> /dev/null)
    (( $#choices )) && _describe -V ocihaul choices
    (( $#parents )) && _describe -V ocihaul parents -S ''
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _ocihaul "$@"
else
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
    compdef _ocihaul ocihaul
fi
