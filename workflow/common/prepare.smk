# The folder of a sub-job is a job directory of its own: with its job.yaml and its inputs. What job.yaml
# says is no param of the rule: it names paths of this machine, and a job that has come from another
# one need not run again for that.
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
        run:
            hand_over(params.name, input, output)
