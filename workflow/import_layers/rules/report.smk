rule report:
    input:
        layer=rules.write.output.layer,
        drawing=rules.write.output.drawing,
        checked=rules.check.output.checked,
        registered=rules.register.output,
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
        error=here("logs/report.error.json"),
        problems=here("results/problems.json"),
        job=here("job.yaml"),
    shell:
        'python "$WORKFLOW"/import_layers/scripts/layer_report.py --layer {input.layer}'
        " --drawing {input.drawing} --checked {input.checked} --registered {input.registered}"
        " --problems {params.problems} --job {params.job} --output {output.html}"
        " --summary {output.summary} --error {params.error} > {log} 2>&1"
