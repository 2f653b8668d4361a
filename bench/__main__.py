"""``make bench``: run every bench in a separate process, then print one table of all ratios.

python -m bench                        # about an hour on two cores; exit code 1 if a row fails
python -m bench --quick                # small, one round, no verdicts: a check that all benches run
python -m bench --only audio,cache     # some of them
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.rows import FILE_VARIABLE, markdown, recorded

REPOSITORY = Path(__file__).resolve().parents[1]
QUICK = "--quick"
BENCHES: dict[str, tuple[str, ...]] = {
    "build": (QUICK,),
    "audio": (QUICK,),
    "loader": (QUICK,),
    "models": (QUICK,),
    "metrics": (QUICK,),
    "evaluation": (QUICK,),
    "cache": (QUICK,),
    "cluster": (QUICK,),
    "fetch": ("--files", "300", "--bytes", "160000"),
    "viewer": (QUICK,),
}
"""Module below bench -> its arguments for a quick run."""


def run(name: str, arguments: tuple[str, ...], rows: Path) -> int:
    """Run one bench and return its exit code; its report goes to stderr."""
    print(f"=== {name}", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, FILE_VARIABLE: str(rows)},
        stdout=sys.stderr,
        check=False,
    )
    print(f"=== {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return done.returncode


def main() -> int:
    """Run the benches, print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, once, no verdict")
    parser.add_argument("--only", default=",".join(BENCHES), help="comma-separated")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - set(BENCHES):
        parser.error(f"no bench {sorted(unknown)}; there are {sorted(BENCHES)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows"
        file.touch()
        ended = {name: run(name, BENCHES[name] * options.quick, file) for name in chosen}
        rows = recorded(file)
    from bench.interleaved import machine

    print(machine(), end="\n\n")
    print(markdown(rows, judged=not options.quick))
    broken = [name for name, code in ended.items() if code]
    failed = [row.what for row in rows if row.verdict() == "FAIL"]
    if options.quick:
        # The exit code of a bench is not used: a quick run is too small to reach the goals.
        missing = set(chosen) - {row.area for row in rows}
        return int(bool(missing))
    if broken or failed:
        print(f"\nnot reached: {', '.join([*broken, *failed])}", file=sys.stderr)
    return int(bool(broken or failed))


if __name__ == "__main__":
    sys.exit(main())
