from __future__ import annotations

import math

import pytest

from multiface.core.errors import DependencyError
from multiface.core.lazy import optional_import


def test_a_package_that_is_there() -> None:
    assert optional_import("math", purpose="x", install="y") is math


def test_a_missing_package_comes_with_its_pip_line() -> None:
    with pytest.raises(DependencyError, match=r"viewing needs .* 'no_such_package_1'.*pip install 'multiface\[viewer\]'"):
        optional_import("no_such_package_1", purpose="viewing", install="multiface[viewer]")
