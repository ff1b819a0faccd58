rule simplify:
    input:
        regions=rules.check.output.regions,
    output:
        levels=expand("work/level-{level}.parquet", level=levels),
        document="work/simplified.json",
    log:
        "logs/simplify.log",
    conda:
        "../../../envs/geo.yaml"
    envmodules:
        environment_module("geo"),
    params:
        levels=option("levels", json.dumps(params["levels"])),
        error=here("logs/simplify.error.json"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_simplify.py --input {input.regions}'
        " {params.levels} --outputs {output.levels} --document {output.document}"
        " --error {params.error} > {log} 2>&1"
