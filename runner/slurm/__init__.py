"""Rule runs as jobs of SLURM: submit, guard, follow, and cancel so that nothing is left."""
