# results/diff.json and .csv and the problem table are declared nowhere: Snakemake removes the
# outputs of a rule that fails, and what would have changed is worth knowing then, too.
rule check:
    input:
        rows=rules.read.output.rows,
        values=rules.read.output.values,
        source=rules.read.output.source,
    output:
        "work/diff.json",
    log:
        "logs/check.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        mode=params["mode"],
        unknown=option("skip-unknown", params["unknown"] == "skip"),
        listed=params["problems_listed"],
        platform=place("embedded", "EMBEDDED"),
        error=here("logs/check.error.json"),
        results=here("results"),
    shell:
        'python "$WORKFLOW"/import_meta/scripts/meta_check.py --rows {input.rows}'
        " --values {input.values} --source {input.source} --mode {params.mode} {params.unknown}"
        " --output {output}"
        " --results {params.results} --listed {params.listed} {params.platform}"
        " --error {params.error} > {log} 2>&1"
