"""Where the study keeps its files.

One folder holds everything that is fetched or computed: ``upstream/`` (files as published),
``tables/`` (our parquet tables) and ``artifacts/`` (results of long computations).
"""

from __future__ import annotations

import os
from pathlib import Path

from a2v_core.published import checked

#: Environment variable that names the data folder.
DATA_DIR_VARIABLE = "A2V_DATA_DIR"
#: Environment variable that names a local folder with the upstream files (no download then).
MIRROR_VARIABLE = "A2V_DATA_MIRROR"


def repository_root() -> Path | None:
    """The checkout that this package is run from, or None when it is installed elsewhere."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "_config.yml").is_file() and (root / "notebooks").is_dir() else None


def data_dir(override: str | Path | None = None) -> Path:
    """The data folder: `override`, else ``$A2V_DATA_DIR``, else ``data/`` of the checkout, else the
    user's data folder. An empty string counts as not given. The folder need not exist yet."""
    if override:
        return Path(override).expanduser().resolve()
    if from_environment := os.environ.get(DATA_DIR_VARIABLE):
        return Path(from_environment).expanduser().resolve()
    if root := repository_root():
        return root / "data"
    import platformdirs

    return Path(platformdirs.user_data_dir("a2v_core"))


def published_dir() -> Path | None:
    """Folder of the trained models and run records that are kept under version control, where there is one; its files
    are those of its list of digests, or :class:`~a2v_core.errors.ArtifactError` is raised."""
    root = repository_root()
    return checked(root / "data" / "pretrained") if root else None


def published_searches_dir() -> Path | None:
    """Folder of the tables of search runs that are kept under version control, where there is one; checked like
    :func:`published_dir`."""
    root = repository_root()
    return checked(root / "data" / "searches") if root else None
