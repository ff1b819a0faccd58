rule report:
    input:
        scenario=rules.load.output,
        model=rules.build.output.about,
        solution=rules.solve.output.solution,
        about=rules.solve.output.about,
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
        error=here("logs/report.error.json"),
        job=here("job.yaml"),
    shell:
        'python "$WORKFLOW"/solve_scenario/scripts/solution_report.py --items {input.scenario}'
        " --model {input.model} --solution {input.solution} --about {input.about}"
        " --stored {input.stored} --job {params.job} --output {output.html}"
        " --summary {output.summary} --error {params.error} > {log} 2>&1"
