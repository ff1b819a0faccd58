# A version that carries this job's id is found again, so that it is registered once however often
# the stage starts.
rule register:
    input:
        layer=rules.write.output.layer,
        files=[
            rules.write.output.master,
            rules.write.output.flatgeobuf,
            rules.write.output.pmtiles,
            rules.write.output.geojson,
            rules.write.output.preview,
        ],
    output:
        "results/registered.json",
    log:
        "logs/register.log",
    localrule: True  # light, however large the job is
    conda:
        "../../../envs/geo.yaml"
    envmodules:
        environment_module("geo"),
    params:
        name=params["name"],
        version=option("version", params.get("version")),
        attribution=option("attribution", params["attribution"]),
        job=config["id"],
        store=place("store", "LAYERS"),
        error=here("logs/register.error.json"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_register.py --layer {input.layer}'
        " --files {input.files} --output {output} --name {params.name} {params.version}"
        " {params.attribution} --job {params.job} {params.store}"
        " --error {params.error} > {log} 2>&1"
