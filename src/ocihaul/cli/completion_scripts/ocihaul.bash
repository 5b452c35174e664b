# Completion of ocihaul for bash: eval "$(ocihaul completion bash)"

_ocihaul_completion() {
    # bash splits words at = and :, and ocihaul has to see them whole.
    local rest=$COMP_LINE current= index=0 count=-1 word
    local -a words=() plain=()
    while ((index <= COMP_CWORD)); do
        word=${COMP_WORDS[index]}
        if ((count < 0)) || [[ $rest == [[:space:]]* || -z $rest ]]; then
            count=$((count + 1))
            words[count]=
        fi
        while [[ $rest == [[:space:]]* ]]; do rest=${rest:1}; done
        words[count]=${words[count]}$word
        rest=${rest:${#word}}
        index=$((index + 1))
    done
    current=${words[count]}

    # What is replaced begins behind the last character that splits words.
    local breaks= prefix=
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
    if [[ -n $breaks && $current == *[$breaks]* ]]; then
        prefix=${current%"${current##*[$breaks]}"}
    fi

    # ocihaul gets the words without the backslashes that the shell would take away.
    local kind value help path plain_prefix
    for word in "${words[@]:1}"; do
        IFS= read word <<< "$word"
        plain+=("$word")
    done
    IFS= read plain_prefix <<< "$prefix"
    COMPREPLY=()
    while IFS= read -r kind && IFS= read -r value && IFS= read -r help; do
        case $kind in
            file | dir)
                path=${current#"$prefix"}
                [[ $current == --*=* ]] && path=${current#*=}
                while IFS= read -r value; do
                    COMPREPLY+=("$value")
                done < <(compgen "$([[ $kind == dir ]] && echo -d || echo -f)" -- "$path")
                compopt -o filenames 2> /dev/null
                ;;
            value)
                # It comes from outside, and bash puts it on the line as it is.
                printf -v word %q "${value#"$plain_prefix"}"
                COMPREPLY+=("$word")
                [[ $value == */ || $value == *: ]] && compopt -o nospace 2> /dev/null
                ;;
        esac
    done < <(_OCIHAUL_COMPLETE=bash "${words[0]}" "${plain[@]}" 2> /dev/null)
    return 0
}

complete -F _ocihaul_completion ocihaul
