#!/usr/bin/env bash
# Print the first suitable Python interpreter; one sentence on stderr and exit 1 when there is none.
set -u
check='import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != (3, 11))'
for candidate in ${PYTHON:-python3.11 python3 python}; do
  if "$candidate" -c "$check" >/dev/null 2>&1; then
    command -v "$candidate"
    exit 0
  fi
done
found="none is on the PATH"
[ -n "${PYTHON:-}" ] && found="$PYTHON is not one"
echo "Python 3.11 with its venv module is needed (DGL has no wheels for a later one), but $found: install it, or name it with \`make PYTHON=/path/to/python3.11 …\`." >&2
exit 1
