"""A file of annotations from a client, within limits; a zip is unpacked safely."""

import asyncio
import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from c2g_jax.export.read import PVSG
from c2g_jax.web.errors import WebError
from c2g_jax.web.uploads import Limits, receive_file

MAX_FILES = 100_000  # in a zip
MAX_GROWTH = 20  # unpacked bytes to those of the largest upload


@contextlib.asynccontextmanager
async def import_upload(
    chunks: AsyncIterator[bytes], name: str, limits: Limits
) -> AsyncIterator[Path]:
    """Give the path of a received file, or of the folder in it if it is a zip.

    It is deleted at the end. WebError for what is too large, or no such zip.
    """
    folder = Path(tempfile.mkdtemp(prefix="c2g-import-"))
    try:
        path = folder / name
        await receive_file(chunks, path, limits)
        if await asyncio.to_thread(zipfile.is_zipfile, path):
            path = await asyncio.to_thread(_unpacked, path, folder / "unpacked", limits)
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unpacked(path: Path, folder: Path, limits: Limits) -> Path:
    """Unpack a zip; return the folder in it that holds pvsg.json."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            # Videos are large, and not looked at.
            entries = [e for e in entries if e.filename.endswith((".json", ".png"))]
            size = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_FILES or size > MAX_GROWTH * limits.bytes:
                raise WebError(413, f"{path.name}: unpacked it is too large: split it")
            for entry in entries:
                place = PurePosixPath(entry.filename)
                if place.is_absolute() or ".." in place.parts or "\\" in entry.filename:
                    raise WebError(
                        422,
                        f"{path.name}: holds the path {entry.filename!r}: pack it "
                        "again",
                    )
                target = folder.joinpath(*place.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, open(target, "wb") as file:
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, ValueError):
        raise WebError(422, f"{path.name}: a damaged zip: pack it again") from None
    found = sorted(folder.rglob(PVSG)) if folder.exists() else []
    if len(found) != 1:
        raise WebError(
            422, f"{path.name}: has no pvsg.json, or several: give one OpenPVSG folder"
        )
    return found[0].parent
