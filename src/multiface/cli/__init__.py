"""The command line: one file per command, imported only when that command runs."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "demo": "see it all: virtual stage, training, test, a page and a video (minutes on a CPU)",
    "synth": "write a capture filmed on the virtual stage",
    "download": "plan, fetch, check and mend the public release",
    "zoo": "list and fetch the published weights",
    "inspect": "list what a capture holds and what is missing or broken",
    "unwrap": "make textures, averages and statistics from photos, meshes and calibration",
    "pack": "make a store of a capture, read many times faster in training",
    "train": "train a model on a capture",
    "train-all": "train many: one model of each capture and architecture, over all GPUs of a job",
    "test": "measure a model on held-out segments, frozen and adapted; compare models",
    "protocols": "list what a test can be made of, exactly, and prepare trainings for it",
    "visualize": "videos of a model: beside the photos, turntables, walks between expressions",
    "show": "look at one frame of a capture: every camera, the mesh on the photo, is the calibration right",
    "doctor": "show devices, versions and backends, and how to get what is missing",
}
"""Command -> what it does, in the order of the work. The module of command X is ``multiface.cli.X`` (dashes become
underscores) with ``main(argv) -> int``."""


def run(argv: list[str]) -> int:
    """Run one command line (without the program name) and return its exit status; never raises for a user's mistake."""
    if len(argv) > 1 and argv[0].replace("-", "_").startswith("__local_rank="):
        argv = [*argv[1:], argv[0]]  # torch.distributed.launch puts it in front of everything
    if not argv or argv[0] in ("-h", "--help"):
        sys.stdout.write(_usage())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        from multiface import __version__

        sys.stdout.write(f"multiface {__version__}\n")
        return 0
    name, rest = argv[0], argv[1:]
    if name not in COMMANDS:
        sys.stderr.write(_unknown(name))
        return 2
    return _guarded(name, rest)


def _guarded(name: str, argv: list[str]) -> int:
    from multiface.core.errors import MultifaceError

    try:
        module = importlib.import_module(f"multiface.cli.{name.replace('-', '_')}")
        return int(module.main(argv))
    except MultifaceError as error:
        sys.stderr.write(f"multiface {name}: {error}\n")
        return error.exit_status
    except SystemExit as stop:  # the parser has said what is wrong, or shown the help
        return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 2
    except KeyboardInterrupt:
        sys.stderr.write(f"multiface {name}: interrupted\n")
        return 130
    except BrokenPipeError:  # the reader of our output went away (`| head`); that is its right
        sys.stderr.close()
        return 141


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {what}" for name, what in COMMANDS.items()]
    return (
        "usage: multiface COMMAND [options]\n\n"
        "Photo-real, drivable face models from multi-view captures.\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "multiface COMMAND --help tells the options of one; --json gives its result as one JSON line on stdout.\n"
    )


def _unknown(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"multiface: there is no command '{name}'.{hint} Commands: {', '.join(COMMANDS)}.\n"
