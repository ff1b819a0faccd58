# results/problems.json and .csv are declared nowhere: Snakemake removes the outputs of a rule that
# fails, when they matter most.
rule check:
    input:
        **mapping_file(),
        table=rules.read.output.table,
        source=rules.read.output.source,
    output:
        regions="work/regions.parquet",
        checked="work/checked.json",
    log:
        "logs/check.log",
    conda:
        "../../../envs/geo.yaml"
    envmodules:
        environment_module("geo"),
    params:
        name=params["name"],
        version=option("version", params.get("version")),
        job=config["id"],
        store=place("store", "LAYERS"),
        platform=place("embedded", "EMBEDDED"),
        column=option("name-column", params.get("name_column")),
        mapping=mapping_option(),
        file=lambda wildcards, input: option("mapping-file", input.get("mapping")),
        dissolve=option("dissolve", params["dissolve"]),
        unknown=params["unknown_regions"],
        missing=params["missing_regions"],
        gaps=option("close-gaps", params.get("close_gaps")),
        listed=params["problems_listed"],
        error=here("logs/check.error.json"),
        problems=here("results"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_check.py --input {input.table}'
        " --source {input.source} --output {output.regions} --checked {output.checked}"
        " --name {params.name} {params.version} --job {params.job} {params.store}"
        " {params.platform} {params.column} {params.mapping} {params.file} {params.dissolve}"
        " --unknown-regions {params.unknown} --missing-regions {params.missing} {params.gaps}"
        " --problems {params.problems} --listed {params.listed}"
        " --error {params.error} > {log} 2>&1"
