"""The examples of CONTRIBUTING.md, to be run as they stand there."""

import re
import textwrap
from pathlib import Path

TEXT = Path(__file__).resolve().parents[1] / "CONTRIBUTING.md"


def examples(title: str) -> dict[str, str]:
    """The fenced blocks of one section: by the file that their first line names, or by their place."""
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT.read_text(), flags=re.DOTALL | re.MULTILINE)
    found = {}
    for number, block in enumerate(re.findall(r"^ *```\w+\n.*?^ *```$", section, flags=re.DOTALL | re.MULTILINE)):
        lines = textwrap.dedent(block).splitlines()[1:-1]
        name = re.fullmatch(r"# (\S+\.\w+)", lines[0])
        found[name[1] if name else str(number)] = "\n".join(lines) + "\n"
    return found


def install(title: str, site: Path) -> None:
    """Lay the files of a section out in `site` as an installed package would lie there."""
    metadata = site / "mine-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: mine\nVersion: 1.0\n")
    files = examples(title)
    # What an installer makes of pyproject.toml: the same entries in the form of an INI file.
    entry_points = re.sub(r'\[project\.entry-points\."(.*)"\]', r"[\1]", files.pop("pyproject.toml"))
    (metadata / "entry_points.txt").write_text(entry_points.replace('"', ""))
    for name, content in files.items():
        (site / name).write_text(content)
