rule verify:
    input:
        data=rules.process.output.data,
        meta=rules.process.output.meta,
        source=rules.read.output.source,
    output:
        "work/verified.json",
    log:
        "logs/verify.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        platform=platform_options(),
        listed=params["problems_listed"],
        error=here("logs/verify.error.json"),
        problems=lambda wildcards, input: os.path.dirname(input.data),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/verify.py --input {input.data}'
        " --meta {input.meta} --source {input.source} --output {output} --problems {params.problems}"
        " {params.platform} --listed {params.listed} --error {params.error} > {log} 2>&1"


# Runs that carry this job's mark are found again, so that it stores once however often it starts.
rule import:
    input:
        data=rules.process.output.data,
        meta=rules.process.output.meta,
        verified=rules.verify.output,
    output:
        "results/import.json",
    log:
        "logs/import.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        job=config["id"],
        platform=platform_options(),
        error=here("logs/import.error.json"),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/import_runs.py --input {input.data}'
        " --meta {input.meta} --verified {input.verified} --output {output} --job {params.job}"
        " {params.platform} --error {params.error} > {log} 2>&1"
