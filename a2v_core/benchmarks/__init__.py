"""What the cells of the search spaces score: upstream files, verified, as tables with data cards.

``fetch`` brings upstream files, ``build`` makes tables of them, ``load_table`` gives one (and makes it when it can).
"""

from a2v_core.benchmarks.download import FetchResult, fetch, verify
from a2v_core.benchmarks.sources import Source, SourceStatus, list_sources, verified_path
from a2v_core.benchmarks.tables import BuildResult, available, build, load_table, table_names, table_path

__all__ = [
    "BuildResult",
    "FetchResult",
    "Source",
    "SourceStatus",
    "available",
    "build",
    "fetch",
    "list_sources",
    "load_table",
    "table_names",
    "table_path",
    "verified_path",
    "verify",
]
