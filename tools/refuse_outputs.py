"""Pre-commit hook: refuse notebooks that carry outputs or execution counts.

The notebooks under notebooks/ are sources; their executed copies live under book/results.
"""

import json
import sys
from pathlib import Path


def faults(path: Path) -> list[str]:
    """What a notebook should not carry, one line for each cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [f"{path}: cell {number} carries an output or an execution count: clear it before committing"
            for number, cell in enumerate(cells, 1)
            if cell.get("outputs") or cell.get("execution_count") is not None]


if __name__ == "__main__":
    found = [fault for name in sys.argv[1:] for fault in faults(Path(name))]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
