rule report:
    input:
        data=rules.read.output.data,
        source=rules.read.output.source,
        processed=rules.process.output.data,
        processed_meta=rules.process.output.meta,
        verified=rules.verify.output,
        imported="results/import.json",
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
        error=here("logs/report.error.json"),
        problems=here("results/problems.json"),
        job=here("job.yaml"),
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/report.py --data {input.data}'
        " --source {input.source} --processed {input.processed}"
        " --processed-meta {input.processed_meta} --verified {input.verified}"
        " --imported {input.imported} --problems {params.problems} --job {params.job}"
        " --output {output.html} --summary {output.summary} --error {params.error} > {log} 2>&1"
