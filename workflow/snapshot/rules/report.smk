rule report:
    input:
        **({"published": rules.publish.output} if publish else {}),
        manifest=rules.bundle.output.manifest,
        zip=rules.bundle.output.zip,
    output:
        html="results/report.html",
        summary="results/summary.json",
    log:
        "logs/report.log",
    localrule: True  # light, however large the job is
    conda:
        "../../../envs/report.yaml"
    envmodules:
        environment_module("report"),
    params:
        published=lambda wildcards, input: option("published", input.get("published")),
        error=here("logs/report.error.json"),
    shell:
        'python "$WORKFLOW"/snapshot/scripts/snapshot_report.py --manifest {input.manifest}'
        " --zip {input.zip} {params.published} --output {output.html}"
        " --summary {output.summary} --error {params.error} > {log} 2>&1"
