"""A progress bar for work that counts its steps."""

from __future__ import annotations

from multiface.cli.output import console


class StepBar:
    """A progress bar on stderr that appears with the first step; nothing where stderr is no terminal.

    Args:
        what: What is being done, for example ``"unwrapping frames"``.
    """

    def __init__(self, what: str) -> None:
        from rich.progress import Progress

        out = console()
        self._what = what
        self._progress = Progress(console=out, transient=True) if out.is_terminal else None

    def __enter__(self) -> StepBar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def update(self, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` steps are done."""
        if self._progress is None:
            return
        if not self._progress.tasks:
            self._progress.add_task(self._what)
            self._progress.start()
        self._progress.update(self._progress.tasks[0].id, completed=done, total=total)
