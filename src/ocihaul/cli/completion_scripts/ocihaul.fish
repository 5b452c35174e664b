# Completion of ocihaul for fish: ocihaul completion fish > ~/.config/fish/completions/ocihaul.fish

function __ocihaul_complete
    set -l words (commandline -opc)
    # As the shell would hand it over, unless a quote is still open.
    set -l current (string unescape -- (commandline -ct); or commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -l lines (_OCIHAUL_COMPLETE=fish $program $words "$current" 2> /dev/null)
    while test (count $lines) -ge 3
        switch $lines[1]
            case file
                __fish_complete_path (string replace -r -- '^--[^=]*=' '' "$current")
            case dir
                __fish_complete_directories (string replace -r -- '^--[^=]*=' '' "$current")
            case value
                printf '%s\t%s\n' $lines[2] $lines[3]
        end
        set -e lines[1..3]
    end
end

complete -c ocihaul -f -a '(__ocihaul_complete)'
