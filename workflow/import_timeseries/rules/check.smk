# results/problems.json and .csv, which check, process and verify write, are declared nowhere:
# Snakemake removes the outputs of a rule that fails, when they matter most, and empties the logs
# of a rule before it starts, with what earlier stages found.
rule check:
    input:
        data=rules.read.output.data,
        meta=rules.read.output.meta,
        source=rules.read.output.source,
        cells=rules.read.output.cells,
    output:
        "work/checked.json",
    log:
        "logs/check.log",
    conda:
        "../../../envs/polars.yaml"
    envmodules:
        environment_module("polars"),
    params:
        listed=params["problems_listed"],
        names=names_options(),
        error=here("logs/check.error.json"),
        problems=here("results"),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/check.py --input {input.data}'
        " --meta {input.meta} --source {input.source} --cells {input.cells} --output {output}"
        " --problems {params.problems} --listed {params.listed} {params.names}"
        " --error {params.error} > {log} 2>&1"
