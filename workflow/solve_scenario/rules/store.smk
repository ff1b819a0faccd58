# A solution that carries this job's mark is found again, so that it is stored once.
rule store:
    input:
        scenario=rules.load.output,
        model=rules.build.output.about,
        solution=rules.solve.output.solution,
        about=rules.solve.output.about,
    output:
        "results/stored.json",
    log:
        "logs/store.log",
    conda:
        "../../../envs/ixmp4.yaml"
    envmodules:
        environment_module("ixmp4"),
    params:
        job=config["id"],
        to=option("to", params["store"]),
        default=option("set-default", params["set_default"]),
        platform=place("embedded", "EMBEDDED"),
        error=here("logs/store.error.json"),
    shell:
        'python "$WORKFLOW"/solve_scenario/scripts/store_solution.py --items {input.scenario}'
        " --model {input.model} --solution {input.solution} --about {input.about} --job {params.job}"
        " {params.to} {params.default} {params.platform} --output {output} --error {params.error}"
        " > {log} 2>&1"
