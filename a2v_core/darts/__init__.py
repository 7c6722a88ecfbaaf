"""Networks of the DARTS line: built from cells, counted, and trained for real (Tables 4 and 5)."""
