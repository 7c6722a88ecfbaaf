"""Architecture search: objectives, search methods behind one protocol, and the driver that runs many of them."""
