rule write:
    input:
        regions=rules.check.output.regions,
        source=rules.read.output.source,
        levels=rules.simplify.output.levels,
        simplified=rules.simplify.output.document,
    output:
        master="results/layer.parquet",
        flatgeobuf="results/layer.fgb",
        pmtiles="results/layer.pmtiles",
        geojson=expand("results/layer-{level}.geojson", level=levels),
        preview="results/layer.png",
        drawing="work/drawing.json",
        layer="work/layer.json",
    log:
        "logs/write.log",
    conda:
        "../../../envs/geo.yaml"
    envmodules:
        environment_module("geo"),
    params:
        name=params["name"],
        attribution=option("attribution", params["attribution"]),
        error=here("logs/write.error.json"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_write.py --input {input.regions}'
        " --source {input.source} --simplified {input.simplified} --levels {input.levels}"
        " --master {output.master} --flatgeobuf {output.flatgeobuf} --pmtiles {output.pmtiles}"
        " --geojson {output.geojson} --preview {output.preview} --drawing {output.drawing}"
        " --layer {output.layer} --name {params.name} {params.attribution}"
        " --error {params.error} > {log} 2>&1"
