"""Flags that are paths: `flags.DEFINE(PATH, NAME, default, help)`."""

import os

from absl import flags


class _PathParser(flags.ArgumentParser):
    """A path in which `~` is the user's home, which shells leave after `--name=`."""

    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)

    def flag_type(self) -> str:
        return "string"


PATH = _PathParser()
