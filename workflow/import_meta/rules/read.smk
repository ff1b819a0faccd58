rule read:
    input:
        workbook=config["inputs"]["workbook"]["path"],
    output:
        rows="work/meta_rows.parquet",
        values="work/meta_values.parquet",
        source="work/meta_source.json",
    log:
        "logs/read.log",
    conda:
        "../../../envs/polars.yaml"
    envmodules:
        environment_module("polars"),
    params:
        sheet=option("sheet", params.get("sheet")),
        optional=option("optional", not params["required"]),
        mode=params["mode"],
        listed=params["problems_listed"],
        problems=here("results"),
        error=here("logs/read.error.json"),
    shell:
        'python "$WORKFLOW"/import_meta/scripts/meta_read.py --input {input.workbook:q}'
        " --rows {output.rows} --values {output.values} --source {output.source}"
        " {params.sheet} {params.optional} --mode {params.mode} --problems {params.problems}"
        " --listed {params.listed} --error {params.error} > {log} 2>&1"
