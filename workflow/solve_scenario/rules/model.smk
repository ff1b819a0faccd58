# The plug-in's own code, in its own environment. It does not get the platform's address.
import json


rule build:
    input:
        scenario=rules.load.output,
        plugin=plugin_file(),
    output:
        model="work/model.nc",
        about="work/model.json",
    log:
        "logs/build.log",
    conda:
        plugin_environment()
    envmodules:
        *plugin_module(),
    params:
        plugin=plugin_options(),
        file=lambda wildcards, input: option(
            "file", input.plugin[0] if input.plugin else None
        ),
        error=here("logs/build.error.json"),
        problems=here("results"),
    shell:
        "env -u JOBRUNNER_PLATFORM_DSN -u JOBRUNNER_PUBLISH_OPTIONS"
        ' python "$WORKFLOW"/solve_scenario/scripts/build_model.py --items {input.scenario}'
        " {params.plugin} {params.file} --model {output.model} --about {output.about}"
        " --problems {params.problems} --error {params.error} > {log} 2>&1"


# What the solver prints is the log of this stage, line by line while it runs.
rule solve:
    input:
        scenario=rules.load.output,
        plugin=plugin_file(),
        model=rules.build.output.model,
        about=rules.build.output.about,
    output:
        solution="results/solution.csv",
        about="work/solution.json",
    log:
        "logs/solve.log",
    conda:
        plugin_environment()
    envmodules:
        *plugin_module(),
    threads: params["threads"]
    resources:
        mem_mb=params["mem_mb"],
        runtime=math.ceil(params["time_limit"] / 60) + 10,  # minutes; reading and writing included
    params:
        plugin=plugin_options(),
        file=lambda wildcards, input: option(
            "file", input.plugin[0] if input.plugin else None
        ),
        solver=option("solver", params["solver"]),
        settings=option("options", json.dumps(params["solver_options"])),
        time_limit=option("time-limit", params["time_limit"]),
        accept=option("accept", params["accept"]),
        error=here("logs/solve.error.json"),
        problems=lambda wildcards, output: os.path.dirname(output.solution),
    shell:
        "env -u JOBRUNNER_PLATFORM_DSN -u JOBRUNNER_PUBLISH_OPTIONS"
        ' python "$WORKFLOW"/solve_scenario/scripts/solve_model.py --items {input.scenario}'
        " {params.plugin} {params.file} --model {input.model} --model-about {input.about}"
        " {params.solver} {params.settings} {params.time_limit} --threads {threads}"
        " --mem-mb {resources.mem_mb} {params.accept}"
        " --solution {output.solution} --about {output.about} --problems {params.problems}"
        " --error {params.error} > {log} 2>&1"
