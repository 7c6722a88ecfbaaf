"""The registration of the made searcher, apart from it: what a searcher imports is part of its identity."""

from a2v_core.search.methods import Method

METHOD = Method("made", "every cell once", "made_search:MadeSearcher")
