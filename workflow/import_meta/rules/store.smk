# A checkpoint of each changed run carries this job's mark: the job stores once however often it
# is started.
rule store:
    input:
        diff=rules.check.output,
        rows=rules.read.output.rows,
        values=rules.read.output.values,
        source=rules.read.output.source,
    output:
        "results/stored.json",
    log:
        "logs/store.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        job=config["id"],
        platform=place("embedded", "EMBEDDED"),
        error=here("logs/store.error.json"),
    shell:
        'python "$WORKFLOW"/import_meta/scripts/meta_store.py --rows {input.rows}'
        " --values {input.values} --source {input.source} --diff {input.diff} --output {output}"
        " --job {params.job} {params.platform} --error {params.error} > {log} 2>&1"
