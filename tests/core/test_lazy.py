from __future__ import annotations

import gc
import math

import pytest

from multiface.core.errors import DependencyError
from multiface.core.lazy import imports_uncollected, optional_import


def test_a_package_that_is_there() -> None:
    assert optional_import("math", purpose="x", install="y") is math


def test_a_missing_package_comes_with_its_pip_line() -> None:
    with pytest.raises(DependencyError, match=r"viewing needs .* 'no_such_package_1'.*pip install 'multiface\[viewer\]'"):
        optional_import("no_such_package_1", purpose="viewing", install="multiface[viewer]")


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_rests_while_importing_and_is_as_it_was_afterwards(enabled: bool) -> None:
    was_enabled = gc.isenabled()
    try:
        gc.enable() if enabled else gc.disable()
        with pytest.raises(ImportError), imports_uncollected():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is enabled
    finally:
        gc.enable() if was_enabled else gc.disable()
