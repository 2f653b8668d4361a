"""Number the stages in the output of `dvc repro` and add the time since the start.

Usage: dvc repro | python .ci/progress.py TOTAL
"""

import re
import sys
import time

NOISE = re.compile(r"Updating lock|Generating lock|Use `dvc|$")


def main() -> None:
    """Copy stdin to stdout, stages numbered, DVC's own bookkeeping left out."""
    total, done, start = int(sys.argv[1]), 0, time.monotonic()
    for line in sys.stdin:
        if re.match(r"Running stage|Stage '", line):
            spent = time.monotonic() - start
            done += 1
            sys.stdout.write(f"[{done}/{total}, {spent:.0f} s] {line}")
        elif not NOISE.match(line):
            sys.stdout.write(line)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
