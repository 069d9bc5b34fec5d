"""Names of files and objects as text that every reader of a format takes.

Linux allows any bytes in a file name: Python decodes those that are not UTF-8 as lone
surrogates, which no UTF-8, XML or strict JSON may hold. XML forbids most control
characters too, even as references.
"""

import re
from pathlib import Path
from typing import Any

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# White space, dots, separators, what Windows forbids, control characters, and lone
# surrogates.
_NOT_IN_FILES = re.compile(r'[\s.<>:"/\\|?*\x00-\x1f\x7f-\x9f\ud800-\udfff]+')
_DEVICE = re.compile("con|prn|aux|nul|com[0-9]|lpt[0-9]", re.IGNORECASE)
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"


def unicode_text(value: Any) -> Any:
    """Return JSON values with each lone surrogate replaced by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {unicode_text(k): unicode_text(x) for k, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [unicode_text(x) for x in value]
    return value


def xml_text(text: str) -> str:
    """Return text with each character that XML 1.0 forbids replaced by U+FFFD."""
    return _NOT_IN_XML.sub(_UNKNOWN, text)


def plain_stem(name: str) -> str:
    """Return the name of a video as a file name: letters of any script are kept.

    Replaced by _ are spaces, dots, and what a file name cannot hold on Linux, macOS or
    Windows; the names that Windows gives to devices are changed too.
    """
    stem = _NOT_IN_FILES.sub("_", Path(name).stem).strip("_") or "video"
    return f"video_{stem}" if _DEVICE.fullmatch(stem) else stem


def ascii_stem(name: str) -> str:
    """Return the name that exports of earlier versions gave a video, in ASCII alone."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name).stem).strip("_") or "video"
