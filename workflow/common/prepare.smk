# The folder of a sub-job is a job directory of its own: with its job.yaml, where paths start in it, and
# its inputs. A shell is all that this needs, and no environment: a `run:` would start a Snakemake.
for _name in SUB_JOBS:

    rule:
        name:
            f"{_name}_prepare"
        input:
            **sources_of(_name),
        output:
            **{
                own: f"{sub_folder(_name)}/input/{Path(path).name}"
                for own, path in sources_of(_name).items()
            },
            job=f"{sub_folder(_name)}/job.yaml",
        log:
            f"{sub_folder(_name)}/logs/prepare.log",
        localrule: True
        params:
            name=_name,
        shell:
            "exec 2> {log};"
            ' for file in {input:q}; do place="$(dirname {output.job:q})/input/";'
            ' cp --link --force "$file" "$place" || cp --force "$file" "$place"; done;'
            " printf '%s\\n' {JOB_YAML:{params.name}.q} > {output.job:q}"
