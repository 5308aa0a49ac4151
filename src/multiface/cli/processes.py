"""Several processes that run one command speak with one voice."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator


def quiet_libraries() -> None:
    """Before PyTorch is imported: keep its words off the terminal where we say the same, or there is nothing to say."""
    # Connections that break are told once, by us, and not by every process with its C++ stack.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # The few matrix products that are left in single precision are meant to be.
    warnings.filterwarnings("ignore", message="TensorFloat32 tensor cores")


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """For what all processes of a job do alike before they have met: only the first one of each machine is heard.

    The others fail silently, with the same exit status.
    """
    from multiface.core.errors import MultifaceError

    place = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or "0"
    if place == "0":
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123 -- no path of ours
        contextlib.redirect_stderr(nowhere),
        contextlib.redirect_stdout(nowhere),
    ):
        try:
            yield
        except MultifaceError as error:
            raise SystemExit(error.exit_status) from None
