# Read by the bash of each rule (as BASH_ENV) where stage environments are environment modules.
#
# `module` is a function of the shell, which a shell that is not interactive lacks on many clusters:
# here it is looked for when it is first called. And a module that cannot be loaded ends the rule;
# Snakemake itself would go on with whatever python is on PATH.

if [ -r "${JOBRUNNER_SITE_BASH_ENV-}" ]; then
    . "$JOBRUNNER_SITE_BASH_ENV" # what BASH_ENV was before
fi

_jobrunner_keep_module() { # the site's function, under another name
    eval "_jobrunner_site_$(declare -f module)"
    export -f _jobrunner_site_module
    export -n -f module
}

_jobrunner_find_module() {
    local file
    for file in "${LMOD_PKG-}/init/bash" "${MODULESHOME-}/init/bash" \
        /etc/profile.d/modules.sh /etc/profile.d/lmod.sh /etc/profile.d/z00_lmod.sh \
        /usr/share/modules/init/bash /usr/share/Modules/init/bash \
        /usr/share/lmod/lmod/init/bash; do
        [ -r "$file" ] || continue
        unset -f module
        . "$file" > /dev/null 2>&1
        if declare -F module > /dev/null; then
            _jobrunner_keep_module
            _jobrunner_define_module
            return 0
        fi
    done
    _jobrunner_define_module
    return 1
}

_jobrunner_module_failed() { # _jobrunner_module_failed WHAT-WAS-ASKED WHAT-WAS-SAID
    printf '%s\n' "$2" >&2
    if [ -d "${JOBRUNNER_STAGE-}" ]; then
        printf '%s\n' "$1" "${SLURMD_NODENAME:-$HOSTNAME}" "${MODULEPATH-}" "$2" \
            > "$JOBRUNNER_STAGE/module.failed"
    fi
    exit 1
}

_jobrunner_define_module() {
    module() {
        local status=0 file said
        if ! declare -F _jobrunner_site_module > /dev/null && ! _jobrunner_find_module; then
            _jobrunner_module_failed "$*" "There is no command \`module\` here."
        fi
        if [ -n "${JOBRUNNER_MODULES_USE-}" ]; then
            _jobrunner_site_module use "$JOBRUNNER_MODULES_USE"
        fi
        file=$(mktemp) || exit 1
        _jobrunner_site_module "$@" 2> "$file" || status=$?
        said=$(cat "$file")
        rm -f "$file"
        if [ "$status" -ne 0 ]; then
            case "${1-}" in load | purge) _jobrunner_module_failed "$*" "$said" ;; esac
        fi
        [ -z "$said" ] || printf '%s\n' "$said" >&2
        return "$status"
    }
}

if declare -F module > /dev/null && ! declare -F _jobrunner_site_module > /dev/null; then
    _jobrunner_keep_module
fi
_jobrunner_define_module
