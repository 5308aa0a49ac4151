"""``python -m multiface`` and the ``multiface`` command."""

from __future__ import annotations

import gc
import sys

from multiface.cli import run


def main() -> None:
    status = run(sys.argv[1:])
    # Python looks for cyclic garbage once more before it ends. Nobody needs the memory, and with PyTorch it takes 0.2 s.
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    main()
