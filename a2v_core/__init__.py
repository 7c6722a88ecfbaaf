"""arch2vec, reimplemented and measured: search spaces, benchmark tables, autoencoder, search, and the study.

Importing the package loads nothing else; import the module that you need, for example
``from a2v_core.spaces import get_space``.
"""

__version__ = "0.1.0"
