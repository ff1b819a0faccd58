"""Read what `snakemake --lint` says; print it and fail, but for what rules of ours do on purpose.

`<sub-job>_prepare` has no environment, because a shell is all that it needs, and takes a text from
outside, so that a job directory that has come from another machine does not run again.
"""

import re
import sys

ON_PURPOSE = ("Specify a conda environment", "Shell command directly uses variable JOB_YAML")

text, place, left = sys.stdin.read(), "", []
for line in text.splitlines():
    if line.startswith("Lints for "):
        place = line.removeprefix("Lints for ")
    elif line.startswith("    * "):
        ours = re.match(r"rule \w+_prepare ", place)
        if not (ours and line.strip(" *").startswith(ON_PURPOSE)):
            left.append(f"{place} {line.strip()}")
if "Congratulations" not in text and not place:
    left.append(text)  # it could not even be read
print("\n".join(left) or "in a good condition")
sys.exit(bool(left))
