rule read:
    input:
        workbook=config["inputs"]["workbook"]["path"],
    output:
        data="work/data.parquet",
        meta="work/meta.parquet",
        source="work/source.json",
        cells="work/cells.parquet",
    log:
        "logs/read.log",
    conda:
        "../../../envs/polars.yaml"
    envmodules:
        environment_module("polars"),
    params:
        sheet=option("sheet", params.get("sheet")),
        meta=option("no-meta", not params["meta"]),
        error=here("logs/read.error.json"),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/read.py --input {input.workbook:q}'
        " --output {output.data} --meta {output.meta} --source {output.source}"
        " --cells {output.cells} {params.sheet} {params.meta} --error {params.error} > {log} 2>&1"
