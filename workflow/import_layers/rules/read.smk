rule read:
    input:
        layer=config["inputs"]["layer"]["path"],
    output:
        table="work/layer.parquet",
        source="work/source.json",
    log:
        "logs/read.log",
    conda:
        "../../../envs/geo.yaml"
    envmodules:
        environment_module("geo"),
    params:
        layer=option("layer-in-file", params.get("layer_in_file")),
        crs=option("crs", params.get("crs")),
        error=here("logs/read.error.json"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_read.py --input {input.layer:q}'
        " --output {output.table} --source {output.source} {params.layer} {params.crs}"
        " --error {params.error} > {log} 2>&1"
