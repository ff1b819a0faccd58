# `make demo` shows the main job, `make up` the service, `make test` checks everything.
# Both set up what they need; a second call reuses it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOME_DIR := $(CURDIR)/.jobrunner
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo up slurm-up slurm-down setup test setup-test lint unit lock clean

demo: setup
	@$(BIN)/jobrunner run import_timeseries --home "$(HOME_DIR)" \
	  --input workbook=examples/example-workbook.xlsx --processing examples/project-workflow
	@echo
	@echo "The same through the service: make up (in another terminal), then"
	@echo "  curl -H \"Authorization: Bearer \$$(cat .jobrunner/admin.token)\" -F workbook=@examples/example-workbook.xlsx \\"
	@echo "    -F 'request={\"type\": \"import_timeseries\", \"instance\": \"example\"};type=application/json' http://127.0.0.1:8000/api/v1/jobs"

# The whole service, with nothing to configure, and an instance that has the example's processing repository.
up: setup $(VENV)/.web
	@mkdir -p "$(HOME_DIR)/config/instances"
	@sed 's|EXAMPLES|$(CURDIR)/examples|' examples/instance.yaml > "$(HOME_DIR)/config/instances/example.yaml"
	@$(BIN)/jobrunner up --home "$(HOME_DIR)" --token-file "$(HOME_DIR)/admin.token" $(UP_ARGS)

# A real SLURM of four pretended nodes, with accounts, as whoever calls: `eval "$(make -s slurm-up)"`.
# Sockets need a short path: SLURM_FOLDER=/tmp/slurm where this folder's is too long.
SLURM_FOLDER ?= $(CURDIR)/.cache/slurm
SLURM_ARGS ?= --accounting

slurm-up: $(VENV)/.base
	@$(BIN)/python -m tests.slurm.cluster up "$(SLURM_FOLDER)" $(SLURM_ARGS)
	@echo "# then: sinfo; $(BIN)/jobrunner run import_timeseries --profile slurm --input workbook=examples/example-workbook.xlsx"
	@echo "# ends with: make slurm-down"

slurm-down: $(VENV)/.base
	@$(BIN)/python -m tests.slurm.cluster down "$(SLURM_FOLDER)"

setup: $(VENV)/.base $(VENV)/.stages

# pip serves only to fetch the pinned uv; `--without-pip` works where Debian's python3-venv is missing.
$(BIN)/uv: requirements-uv.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version)'
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --disable-pip-version-check --python $(BIN)/python install --quiet --require-hashes -r requirements-uv.lock
	@touch $@

$(VENV)/.base: $(BIN)/uv requirements.lock pyproject.toml
	@test -e $(VENV)/.test || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.web: $(VENV)/.base requirements-web.lock
	@test -e $(VENV)/.test || $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-web.lock
	@touch $@

$(VENV)/.test: $(VENV)/.base requirements-test.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements-test.lock
	@touch $@

# The stage environments, shared by all jobs; with a conda on PATH the first job makes them. The
# demo needs three of them, tests all.
$(VENV)/.stages: $(VENV)/.base $(wildcard envs/*)
	@$(call stages,envs/polars.yaml envs/ixmp4.yaml envs/report.yaml)
	@touch $@

$(VENV)/.all-stages: $(VENV)/.stages
	@$(call stages,$(wildcard envs/*.yaml))
	@touch $@

define stages
if command -v conda >/dev/null 2>&1; then echo "conda makes the stage environments"; \
else $(BIN)/python -m runner.standin.build --store "$(HOME_DIR)/environments" $(1); fi
endef

setup-test: $(VENV)/.test $(VENV)/.all-stages
	@.ci/system-packages

test: setup-test lint unit

lint: setup-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/snakefmt --check workflow
	$(BIN)/python -m runner.standin.lock --check envs/*.yaml
	@for case in workflow/*/.test/*/job.yaml; do type=$${case%%/.test/*}; echo "snakemake --lint: $$case"; \
	  $(BIN)/snakemake --lint --snakefile $$type/Snakefile --configfile $$case --directory .cache/lint 2>&1 \
	  | $(BIN)/python .ci/lints.py || exit 1; done

unit: setup-test
	$(BIN)/pytest -n 2 --dist loadgroup $(PYTEST_ARGS)

# Writes every lock file anew: hashes, no index addresses.
lock: $(BIN)/uv
	@COMPILE="$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate"; \
	echo uv | $$COMPILE --upgrade - -o requirements-uv.lock; \
	$$COMPILE --upgrade pyproject.toml -o requirements.lock; \
	$$COMPILE --upgrade -c requirements.lock pyproject.toml --extra web -o requirements-web.lock; \
	$$COMPILE --upgrade -c requirements-web.lock pyproject.toml --extra web --group test -o requirements-test.lock; \
	printf 'snakemake\nsnakemake-executor-plugin-slurm\npygments\n' | $$COMPILE --upgrade -c requirements.lock - -o requirements-slurm-plugin.lock
	@$(BIN)/python -m runner.standin.lock envs/*.yaml

clean:
	rm -rf $(VENV) .cache .jobrunner .pytest_cache .mypy_cache .ruff_cache .hypothesis
