# Finished formats wait in work/formats: a stage that was killed goes on with the next one.
rule write:
    input:
        view=rules.view.output,
    output:
        data=directory("results/data"),
        files="work/files.json",
    log:
        "logs/write.log",
    conda:
        "../../../envs/snapshot.yaml"
    envmodules:
        environment_module("snapshot"),
    threads: all_cores()
    params:
        formats=params["formats"],
        split_by=params["split_by"],
        scratch=here("work/formats"),
        error=here("logs/write.error.json"),
    shell:
        'python "$WORKFLOW"/snapshot/scripts/snapshot_write.py --view {input.view}'
        " --formats {params.formats} --split-by {params.split_by} --scratch {params.scratch}"
        " --output {output.data} --files {output.files} --error {params.error} > {log} 2>&1"
