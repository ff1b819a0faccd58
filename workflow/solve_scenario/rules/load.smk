rule load:
    output:
        "work/items.json",
    log:
        "logs/load.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        model=option("model", params["model"]),
        scenario=option("scenario", params["scenario"]),
        version=option("version", params.get("version")),
        platform=place("embedded", "EMBEDDED"),
        error=here("logs/load.error.json"),
    shell:
        'python "$WORKFLOW"/solve_scenario/scripts/load_items.py {params.model} {params.scenario}'
        " {params.version} {params.platform} --output {output} --error {params.error} > {log} 2>&1"
