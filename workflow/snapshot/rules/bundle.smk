rule bundle:
    input:
        view=rules.view.output,
        data=rules.write.output.data,
        files=rules.write.output.files,
    output:
        manifest="results/manifest.json",
        meta="results/meta.xlsx",
        readme="results/README.txt",
        zip="results/snapshot.zip",
    log:
        "logs/bundle.log",
    conda:
        "../../../envs/snapshot.yaml"
    envmodules:
        environment_module("snapshot"),
    params:
        job=config["id"],
        name=params["name"],
        split_by=params["split_by"],
        error=here("logs/bundle.error.json"),
    shell:
        'python "$WORKFLOW"/snapshot/scripts/snapshot_bundle.py --view {input.view}'
        " --data {input.data} --files {input.files} --job {params.job} --name {params.name}"
        " --split-by {params.split_by} --manifest {output.manifest} --meta {output.meta}"
        " --readme {output.readme} --zip {output.zip} --error {params.error} > {log} 2>&1"
