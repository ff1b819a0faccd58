# The last include of a job type. Where environment modules are used, a rule that names one needs no conda
# environment beside it (Snakemake would make and activate both). A rule that names none has an
# environment that came with its job, or with a processing repository: that is made as without modules.
if "ENV_MODULES" in _DEPLOYMENT:
    for _rule in workflow.rules:
        if _rule.env_modules:
            _rule.conda_env = None
        elif _rule.conda_env and "CONDA" not in _DEPLOYMENT:
            raise WorkflowError(
                f"There is no environment module for what rule {_rule.name} runs, which comes with "
                "the job. Let Snakemake make it: --software-deployment-method env-modules conda"
            )
