"""Freed memory is kept for the next arrays where the C library can do that; garbage is not looked for when told so."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys

import pytest

from multiface.core.memory import without_collection

SCRIPT = """
import resource
import numpy as np
from multiface.core.memory import reuse_freed_memory

assert reuse_freed_memory()
np.ones(50_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(50_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep freed memory")
def test_large_arrays_reuse_their_pages():
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 12_000  # each array alone has over 12,000 pages


def test_elsewhere_nothing_happens(monkeypatch):
    from multiface.core.memory import reuse_freed_memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert reuse_freed_memory() is False


@pytest.mark.parametrize("enabled", [True, False])
def test_without_collection_leaves_it_as_it_was(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(KeyError), without_collection():
            assert not gc.isenabled()
            raise KeyError
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()
