"""``python -m multiface`` and the ``multiface`` command."""

from __future__ import annotations

import sys

from multiface.cli import run


def main() -> None:
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
