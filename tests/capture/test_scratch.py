"""Memory that decoding uses again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from multiface.capture import scratch as module
from multiface.capture.scratch import scratch


def test_a_thread_gets_the_same_memory_again_and_another_thread_other_memory():
    first = scratch("test", 1000)
    assert np.shares_memory(first, scratch("test", 500)) and len(first) == 1000
    assert not np.shares_memory(first, scratch("another", 1000))
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(first, pool.submit(scratch, "test", 1000).result())


def test_what_is_very_large_is_not_held_on_to(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 2000)
    kept = scratch("test", 1500)
    assert not np.shares_memory(scratch("test", 3000), kept)
    assert np.shares_memory(scratch("test", 1500), kept)
