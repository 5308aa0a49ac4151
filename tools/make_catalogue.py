"""Write src/multiface/release/catalogue.json from the public lists of file names.

    python tools/make_catalogue.py FOLDER_OF_LISTS

The folder holds one ``<root folder>.names.xz`` for each person: every file name that the server lists, one a line. The
lists are regular: a person's segments and cameras, and which segments are split by camera, give every name back. This is
checked for every list before anything is written.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from multiface.core.files import write_text
from multiface.release.catalogue import Catalogue, archive_names, catalogue_from_json
from multiface.release.names import parse_archive_name
from multiface.release.ranges import positions_to_text

OUT = Path(__file__).resolve().parent.parent / "src" / "multiface" / "release" / "catalogue.json"

# Published table of people: capture rig, images TB, meshes GB, textures GB, and whether models were published.
PEOPLE = {
    "002645310": (2, 7.8, 45, 2400, True),
    "002643814": (1, 1.6, 21, 412, True),
    "002539136": (1, 1.5, 20, 381, False),
    "7889059": (1, 1.8, 29, 493, True),
    "002757580": (1, 1.4, 21, 380, False),
    "2183941": (1, 2.1, 32, 577, True),
    "5372021": (1, 2.0, 27, 513, True),
    "8870559": (1, 2.4, 32, 611, True),
    "6674443": (1, 1.7, 26, 429, True),
    "5067077": (2, 11, 49, 3100, True),
    "002914589": (1, 1.1, 21, 367, True),
    "6795937": (1, 1.9, 27, 521, True),
    "002421669": (2, 13, 51, 3100, True),
}
FRAMES = {1: 12200, 2: 23000}
"""About how many frames a person has, by rig."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", type=Path, help="folder with one .names.xz for each person")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the catalogue in the package differs")
    options = parser.parse_args()
    text = build(options.lists)
    if options.check:
        sys.exit("the catalogue differs from the lists" if OUT.read_text(encoding="utf-8") != text else 0)
    write_text(OUT, text)
    sys.stdout.write(f"{OUT}: {len(text):,} bytes\n")


def build(folder: Path) -> str:
    lists = {path.name.removesuffix(".names.xz"): read_names(path) for path in sorted(folder.glob("*.names.xz"))}
    roots = {root.split("--")[-2]: root for root in lists}
    if set(roots) != set(PEOPLE):
        sys.exit(f"expected lists of {', '.join(PEOPLE)}; found {', '.join(roots)}")
    parsed = {entity: describe(lists[root]) for entity, root in roots.items()}
    segments = sorted({name for person in parsed.values() for name in person["segments"]})
    people = [person_to_json(entity, roots[entity], parsed[entity], segments) for entity in PEOPLE]
    text = json.dumps({"segments": segments, "people": people}, indent=1) + "\n"
    check(catalogue_from_json(json.loads(text)), {entity: lists[root] for entity, root in roots.items()})
    return text


def read_names(path: Path) -> list[str]:
    return lzma.decompress(path.read_bytes()).decode("ascii").splitlines()


def describe(names: list[str]) -> dict[str, set[str]]:
    """Segments, cameras and split segments of one list."""
    found: dict[str, set[str]] = {"segments": set(), "cameras": set(), "split_images": set(), "split_textures": set()}
    for kind, segment, camera in filter(None, map(parse_archive_name, names)):
        if segment is None:
            continue
        found["segments"].add(segment)
        if camera is not None:
            found["split_" + kind].add(segment)
        if camera is not None and camera != "average":
            found["cameras"].add(camera)
    return found


def person_to_json(entity: str, root: str, found: dict[str, set[str]], segments: list[str]) -> dict:
    rig, images, mesh, textures, published = PEOPLE[entity]
    positions = {name: index for index, name in enumerate(segments)}

    def text(names: set[str]) -> str:
        return positions_to_text(sorted(positions[name] for name in names))

    return {
        "entity": entity,
        "root": root,
        "rig": rig,
        "frames": FRAMES[rig],
        "images_bytes": round(images * 1e12),
        "mesh_bytes": round(mesh * 1e9),
        "textures_bytes": round(textures * 1e9),
        "models": published,
        "cameras": positions_to_text(sorted(map(int, found["cameras"]))),
        "segments": text(found["segments"]),
        "split_images": text(found["split_images"]),
        "split_textures": text(found["split_textures"]),
    }


def check(catalogue: Catalogue, lists: dict[str, list[str]]) -> None:
    for person in catalogue.people.values():
        made = sorted([*archive_names(person), "CHECKSUM", "index.html"])
        if made != sorted(lists[person.entity]):
            wrong = sorted(set(made) ^ set(lists[person.entity]))
            sys.exit(f"{person.entity}: the list is not regular, for example {wrong[:3]}")


if __name__ == "__main__":
    main()
