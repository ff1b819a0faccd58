rule report:
    input:
        source=rules.read.output.source,
        diff=rules.check.output,
        stored=rules.store.output,
    output:
        html="results/report.html",
        summary="results/summary.json",
    log:
        "logs/report.log",
    conda:
        "../../../envs/report.yaml"
    envmodules:
        environment_module("report"),
    params:
        job=here("job.yaml"),
        problems=here("results/problems.json"),
        error=here("logs/report.error.json"),
    shell:
        'python "$WORKFLOW"/import_meta/scripts/meta_report.py --source {input.source}'
        " --diff {input.diff} --stored {input.stored} --problems {params.problems}"
        " --job {params.job} --output {output.html} --summary {output.summary}"
        " --error {params.error} > {log} 2>&1"
