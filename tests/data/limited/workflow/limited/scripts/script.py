"""Runs what a test asks for, and writes where its temporary files go."""

import shutil
import sys
import tempfile

with open(snakemake.log[0], "w") as log:  # noqa: F821
    sys.stdout = sys.stderr = log
    exec(snakemake.params.python)  # noqa: F821
    print(tempfile.gettempdir(), flush=True)
shutil.copy(snakemake.input[0], snakemake.output[0])  # noqa: F821
