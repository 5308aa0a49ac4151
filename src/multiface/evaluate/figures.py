"""Published figures of a person and an architecture, to stand beside ours."""

from __future__ import annotations

from dataclasses import dataclass

from multiface.evaluate.protocol import Protocol, built_in, load_protocol


@dataclass(frozen=True)
class Published:
    """A published result of the adapted protocol.

    Attributes:
        protocol: Which protocol it belongs to.
        values: Metric -> value, keys as in :class:`multiface.evaluate.measurement.Measurement`.
        same: Whether our test follows that protocol.
    """

    protocol: str
    values: dict[str, float]
    same: bool

    def to_json(self) -> dict[str, object]:
        return {**self.values, "protocol": self.protocol, "same_protocol": self.same}


def published_figure(entity: str | None, arch: str, protocol: Protocol | None) -> Published | None:
    """The published figure of a person and an architecture.

    Args:
        entity: Id of the person; None has no figures.
        arch: Architecture.
        protocol: The test's protocol, whose own figures come first; None for a test from options.
    """
    if entity is None:
        return None
    if protocol is not None and protocol.figures:
        found = protocol.figures.get(entity, {}).get(arch)
        return None if found is None else Published(protocol.name, dict(found), True)
    for name in built_in():
        if name.startswith("published/"):
            found = load_protocol(name).figures.get(entity, {}).get(arch)
            if found is not None:
                return Published(name, dict(found), False)
    return None
