"""The register of the paper's claims, and the verdict on each from the committed results.

- :mod:`a2v_core.claims.register` reads and checks ``book/claims.toml``;
- :mod:`a2v_core.claims.values` looks numbers up in the results files;
- :mod:`a2v_core.claims.rules` holds the few rules by which a verdict is reached;
- :mod:`a2v_core.claims.evaluation` applies them all;
- :mod:`a2v_core.claims.pages` writes ``claims.json``, the claims page and the tables of verdicts.

``python -m a2v_core.claims`` does all of it.
"""

from a2v_core.claims.evaluation import Outcome, evaluate
from a2v_core.claims.pages import write_pages
from a2v_core.claims.register import Claim, Register, load_register
from a2v_core.claims.rules import VERDICTS

__all__ = ["VERDICTS", "Claim", "Outcome", "Register", "evaluate", "load_register", "write_pages"]
