"""Measure everything that the page Performance shows, one benchmark after the other, one thread:

    python benchmarks/all.py --output book/performance.json [--turns N] [--runs N] [--only PART …]

Writes the numbers, and the page beside them (``performance.md``). `--only` measures some parts anew and keeps the
others of the file, each with its own date, commit and load.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from a2v_core.performance import PARTS, write_page
from a2v_core.provenance import Cost, git_state, machine, versions

HERE = Path(__file__).resolve().parent
#: Script and arguments of each part.
COMMANDS = {
    "pretraining": ["pretraining.py", "--modes", "training"],
    "embedding": ["embedding.py"],
    "spaces": ["spaces.py"],
    **{part: ["search_steps.py", "--part", part] for part in ("retrieval", "round", "arch2vec_rl", "arch2vec_bo")},
    **{f"edit_distance_{space}": ["edit_distance.py", "--spaces", space]
       for space in ("nasbench101", "nasbench201", "darts")},
    "darts_space": ["darts_space.py"],
}
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}


def measure(part: str, turns: int, runs: int) -> dict[str, Any]:
    """Run one benchmark in a process of its own; its steps and where they come from."""
    script, *more = COMMANDS[part]
    if script == "search_steps.py":
        more += ["--runs", str(runs)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "steps.json"
        load = os.getloadavg()[0]
        with Cost() as cost:
            subprocess.run([sys.executable, HERE / script, "--turns", str(turns), "--json", path, *more],
                           check=True, env=os.environ | ONE_THREAD)
        origin = {"date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"), **git_state(HERE.parent),
                  "load": [round(load, 1), round(os.getloadavg()[0], 1)], "wall_seconds": round(cost.wall),
                  "processor_seconds": round(cost.processor), "machine": machine(),
                  "versions": versions()}
        command = " ".join([f"benchmarks/{script}", "--turns", str(turns), *more])
        return {"part": part, "command": command, "origin": origin, "steps": json.loads(path.read_text())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="the numbers, as JSON")
    parser.add_argument("--turns", type=int, default=7, help="turns of each way (default 7)")
    parser.add_argument("--runs", type=int, default=50, help="whole runs of each search (default 50)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts (default: all)")
    arguments = parser.parse_args()
    started = time.perf_counter()
    for part in arguments.only:
        print(f"\n{part}", flush=True)
        made = measure(part, arguments.turns, arguments.runs)
        kept = json.loads(arguments.output.read_text()) if arguments.output.is_file() else []
        parts = {each["part"]: each for each in (*kept, made)}
        ordered = [parts[name] for name in PARTS if name in parts]
        arguments.output.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    page = write_page(arguments.output)
    print(f"\n{arguments.output} and {page}, after {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
