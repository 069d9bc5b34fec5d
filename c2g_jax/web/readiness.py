"""Getting the model ready: it is loaded, and its programs are compiled ahead."""

import logging
import threading
import time
from typing import Any

from c2g_jax.checkpoints.released.cache import report_on_stderr
from c2g_jax.types import InputError
from c2g_jax.web.errors import WebError, shorten
from c2g_jax.web.worker import Worker

QUIET = 5.0  # seconds without a job of the worker before it compiles beside it
ASK = 0.2  # seconds between looks at the worker


class _Closed(Exception):
    """The server ends."""


class Readiness:
    """What the model waits for.

    stage: what is done until it is ready. failure: why there is no model. warning: what
    the user should know of it. preparing: what is compiled beside the worker.
    """

    def __init__(self, model_host: Any, worker: Worker):
        self._model_host, self._worker = model_host, worker
        self.stage, self.ready = "starting", False
        self.failure: str | None = None
        self.warning: str | None = None
        self.preparing: str | None = None

    async def load(self) -> None:
        """Load the model, and compile the programs of the first clicks."""
        try:
            self.stage = "loading the model"
            self.warning = await self._worker.run(self._model_host.load, self._report)
            await self._worker.run(self._model_host.warm_up, self._set_stage)
            self.stage, self.ready = "ready", True
            # Not in the worker, which serves clicks meanwhile. A daemon: a compilation
            # cannot be stopped, and the server's end (`__main__.end`) waits for none.
            threading.Thread(target=self._warm_tracking, daemon=True).start()
        except WebError:
            return  # the server is stopping, and waits for no model
        except InputError as error:
            self.stage, self.failure = "failed", shorten(error)
            logging.error("there is no model: %s", self.failure)
        except Exception:
            logging.exception("the model could not be loaded")
            self.stage = "failed"
            self.failure = "the model could not be loaded: see the server's log"

    def _warm_tracking(self) -> None:
        try:
            self._model_host.warm_tracking(self._begin_preparing)
        except _Closed:
            pass
        except Exception:  # the first tracking compiles, and reports what fails
            logging.exception("tracking could not be compiled ahead")
        finally:
            self.preparing = None

    def _begin_preparing(self, stage: str) -> None:
        """Wait until nobody has used the model for a while: a compilation takes all
        cores, and a click beside it would take many times as long."""
        self.preparing = None
        while self._worker.idle_seconds() < QUIET:
            if self._worker.closed:
                raise _Closed
            time.sleep(ASK)
        self.preparing = stage

    def _report(self, line: str) -> None:
        """Show a line about the weights, in the page and on stderr."""
        self.stage = line
        report_on_stderr(line)

    def _set_stage(self, stage: str) -> None:
        self.stage = stage
