"""multiface zoo: the published weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from multiface.cli.options import parse
from multiface.cli.output import console, emit_json
from multiface.core.errors import ArgumentError, CheckpointError

_DESCRIPTION = """List and fetch the published weights (CC BY-NC 4.0, research only).

  multiface zoo list                      all 56, with their published errors
  multiface zoo get ENTITY --arch ARCH    fetch one into the cache
  multiface zoo get mini                  the model of the mini data set

Afterwards, and without get too, they load by name: multiface test CAPTURE --model_path zoo:ENTITY/ARCH"""


@dataclass(frozen=True)
class ZooOptions:
    """Options of ``multiface zoo``."""

    action: tyro.conf.Positional[str] = "list"
    """list or get."""
    model: Annotated[str, tyro.conf.Positional] = ""
    """With get: ENTITY, ENTITY/ARCH or mini."""
    arch: str | None = None
    """Architecture: base, res, warp, non or bilinear."""
    again: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Fetch it even if it is in the cache."""
    cache: Path | None = None
    """Folder to keep weights in; MULTIFACE_CACHE, else the usual cache folder of this system."""
    base_url: str | None = None
    """Address of a mirror; MULTIFACE_BASE_URL, else the public server."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print the result as one JSON object on the last line of stdout."""


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    options = parse(ZooOptions, argv, command="zoo", description=_DESCRIPTION)
    if options.action == "list":
        return _list(options)
    if options.action == "get":
        return _get(options)
    raise ArgumentError("there is no such action", where="zoo", expected="list or get", found=repr(options.action))


def _list(options: ZooOptions) -> int:
    from rich import box
    from rich.table import Table

    from multiface.release.zoo import LICENCE, cached_path, zoo_models

    models = [m for m in zoo_models().values() if options.arch in (None, m.arch) and options.model in ("", m.entity, m.name)]
    if not models:
        raise ArgumentError("no published model is left", found=f"{options.model} {options.arch or ''}".strip())
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading, justify in (("model", "left"), ("texture", "right"), ("mesh", "right"), ("cached", "left"), ("test", "left")):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    rows = []
    for model in models:
        cached = cached_path(model, options.cache).is_file()
        table.add_row(
            model.name, f"{model.texture_error:.6f}", f"{model.mesh_error:.6f}", "yes" if cached else "-", model.segment
        )
        rows.append({**model.to_json(), "cached": cached})
    out = console()
    out.print(table)
    out.print(
        "texture: denormalised (mini: normalised); mesh: normalised; both as published, measured after fitting encoder\n"
        "and colour correction to the test frames (the protocol that multiface test calls 'adapted').\n"
        f"Licence: {LICENCE}.",
        soft_wrap=True,
    )
    if options.json:
        emit_json({"models": rows})
    return 0


def _get(options: ZooOptions) -> int:
    from multiface.cli.download_display import progress_display
    from multiface.release.network import Network, base_url
    from multiface.release.zoo import LICENCE, PREFIX, RETRIES, find_model, get, zoo_models

    name = options.model.removeprefix(PREFIX)
    if not name:
        raise ArgumentError("say which model", where="zoo get", expected="ENTITY --arch ARCH, or mini")
    if "/" not in name and name != "mini":
        architectures = [model.arch for model in zoo_models().values() if model.entity == name and model.arch]
        if options.arch is None and architectures:
            raise ArgumentError("say which architecture", where="--arch", expected=" or ".join(architectures))
        name = f"{name}/{options.arch or 'base'}"
    elif options.arch not in (None, name.partition("/")[2]):
        raise ArgumentError("two architectures for one model", found=f"{name} and --arch {options.arch}")
    model = find_model(name)
    came = 0
    with progress_display("fetching", console()) as show:

        def received(count: int, total: int | None) -> None:
            nonlocal came
            came += count
            show.counted(came, total or came)

        network = Network(base_url(options.base_url), retries=RETRIES)
        path = get(model, network=network, cache=options.cache, again=options.again, received=received)
    info = _check_loads(path, model.arch)
    console().print(
        f"{PREFIX}{model.name}: {path} ({came:,} bytes fetched), arch {info.arch}, textures {info.tex_size}, "
        f"{info.nlatent} latents, {info.n_cams} cameras. Licence: {LICENCE}.",
        soft_wrap=True,
        markup=False,
    )
    if options.json:
        emit_json({"name": model.name, "path": str(path), "received": came, "arch": info.arch, **info.sizes()})
    return 0


def _check_loads(path: Path, arch: str):
    """Read the weights as a model: the server gives no checksum, and this is the check that counts."""
    from multiface.models import load_model

    info = load_model(path).info
    if arch and info.arch != arch:
        raise CheckpointError("is of another architecture than its name says", where=path, expected=arch, found=info.arch)
    return info
