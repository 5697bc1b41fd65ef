"""`python -m mc`: the `mcverify` command."""

import sys

from mc.cli import main

if __name__ == "__main__":
    sys.exit(main())
