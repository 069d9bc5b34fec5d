"""Flags that are paths, `flags.DEFINE(PATH, NAME, default, help)`; the cache."""

import os
from pathlib import Path

from absl import flags


class _PathParser(flags.ArgumentParser):
    """A path in which `~` is the user's home, which shells leave after `--name=`."""

    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)

    def flag_type(self) -> str:
        return "string"


PATH = _PathParser()


def user_cache() -> Path:
    """Return the folder for files of this program that can be recreated."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "click2graph"
