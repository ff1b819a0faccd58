"""The stand-in for conda: what Snakemake asks of ``conda``, answered with uv.

Snakemake calls ``conda info``, ``--version``, ``config --get`` and ``env create``, and sources
``bin/activate``. ``bin/`` here holds the two executables as templates; `runner.environments` sets
them in place with the runner's own interpreter named in them. Only ``env create`` starts Python.
"""
