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
    shell:
        'python "$WORKFLOW"/import_timeseries/scripts/report.py --data {input.data}'
        " --source {input.source} --processed {input.processed}"
        " --processed-meta {input.processed_meta} --verified {input.verified}"
        " --imported {input.imported} --problems results/problems.json --job job.yaml"
        " --output {output.html} --summary {output.summary} --error logs/report.error.json > {log} 2>&1"
