# No processing repository and no module: the data are stored as they were submitted.
rule process:
    input:
        checked=rules.check.output,
        data=rules.read.output.data,
        meta=rules.read.output.meta,
    output:
        data="results/processed.parquet",
        meta="results/processed_meta.parquet",
    log:
        "logs/process.log",
    conda:
        "../../../envs/polars.yaml"
    envmodules:
        environment_module("polars"),
    params:
        error=here("logs/process.error.json"),
        problems=lambda wildcards, output: os.path.dirname(output.data),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/passthrough.py --input {input.data}'
        " --meta {input.meta} --output {output.data} --processed-meta {output.meta}"
        " --problems {params.problems} --error {params.error} > {log} 2>&1"
