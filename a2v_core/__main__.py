"""``python -m a2v_core``: see :mod:`a2v_core.cli`."""

from a2v_core.cli import main

main()
