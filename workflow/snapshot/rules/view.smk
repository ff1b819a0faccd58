# Everything that is needed is read in one transaction; later stages do not ask the platform again.
rule view:
    input:
        **(
            {"runs": config["inputs"]["runs"]["path"]}
            if (config.get("inputs") or {}).get("runs")
            else {}
        ),
    output:
        directory("work/view"),
    log:
        "logs/view.log",
    conda:
        "../../../envs/snapshot.yaml"
    envmodules:
        environment_module("snapshot"),
    params:
        filters=option(
            "filters",
            json.dumps(
                {
                    name: params[name]
                    for name in ("model", "scenario", "region", "variable")
                    if name in params
                }
            ),
        ),
        runs=lambda wildcards, input: option("runs", input.get("runs")),
        versions=params["versions"],
        formats=params["formats"],
        split_by=params["split_by"],
        platform=place("embedded", "EMBEDDED"),
        problems=here("results"),
        error=here("logs/view.error.json"),
    shell:
        'python "$WORKFLOW"/snapshot/scripts/snapshot_view.py --output {output}'
        " {params.filters} {params.runs} --versions {params.versions} --formats {params.formats}"
        " --split-by {params.split_by} --problems {params.problems} {params.platform}"
        " --error {params.error} > {log} 2>&1"
