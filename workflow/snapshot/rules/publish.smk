# Only this stage knows the place's credentials, and it knows nothing of the platform.
rule publish:
    input:
        manifest=rules.bundle.output.manifest,
        zip=rules.bundle.output.zip,
    output:
        "results/published.json",
    log:
        "logs/publish.log",
    conda:
        "../../../envs/publish.yaml"
    envmodules:
        environment_module("publish"),
    params:
        to=option("to", publish["to"]),
        keep=option("keep", publish.get("keep")),
        form=publish.get("as", "zip"),
        error=here("logs/publish.error.json"),
    shell:
        "env -u JOBRUNNER_PLATFORM_DSN"
        ' python "$WORKFLOW"/snapshot/scripts/snapshot_publish.py --manifest {input.manifest}'
        " --zip {input.zip} {params.to} {params.keep} --as {params.form} --output {output}"
        " --error {params.error} > {log} 2>&1"
