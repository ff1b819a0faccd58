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
        error="logs/check.error.json",
        # not outputs: Snakemake would remove them when the check fails, when they matter most
        problems="results/problems.json",
        table="results/problems.csv",
    conda:
        "../../../envs/polars.yaml"
    params:
        listed=params["problems_listed"],
        names=names_options(),
    shell:
        "python $WORKFLOW/import_timeseries/scripts/check.py --input {input.data}"
        " --meta {input.meta} --source {input.source} --cells {input.cells} --output {output}"
        " --problems results --listed {params.listed} {params.names}"
        " --error {log.error} > {log[0]} 2>&1"
