# The processing repository's own code, unchanged, in its own environment. It gets neither the
# platform's address nor the immutable checkout, only a copy of that.
rule process:
    input:
        checked=rules.check.output,
        data=rules.read.output.data,
        meta=rules.read.output.meta,
        source=rules.read.output.source,
    output:
        data="results/processed.parquet",
        meta="results/processed_meta.parquet",
    log:
        "logs/process.log",
    conda:
        processing.get("environment", "../../../envs/modules.yaml")
    envmodules:
        *([] if processing.get("environment") else [environment_module("modules")]),
    params:
        checkout=place("checkout", "CHECKOUT"),
        repository=option("repository", processing.get("repository")),
        commit=option("commit", processing.get("commit")),
        entry=option("entry", processing.get("entry")),
        git=place("git-config", "GIT_CONFIG"),
        modules=modules_option(),
        listed=params["problems_listed"],
        error=here("logs/process.error.json"),
        problems=lambda wildcards, output: os.path.dirname(output.data),
        scratch=here("work/processing"),
    shell:
        "env -u JOBRUNNER_PLATFORM_DSN -u JOBRUNNER_PUBLISH_OPTIONS"
        ' python "$WORKFLOW"/import_timeseries/scripts/process.py --input {input.data}'
        " --meta {input.meta} --source {input.source} --output {output.data}"
        " --processed-meta {output.meta} --problems {params.problems} --scratch {params.scratch}"
        " {params.checkout} {params.repository} {params.commit} {params.entry} {params.git}"
        " {params.modules} --listed {params.listed} --error {params.error} > {log} 2>&1"
