"""Latency of the web server under concurrent sessions, on this machine only.

    python -m c2g_jax.web --port=8321 --video=clip.mp4 --checkpoint=weights/toy
    python -m benchmarks.web_load --url=http://127.0.0.1:8321 --sessions=8 --seconds=120

Each session clicks, waits for the mask, fetches a frame, and clicks again; after five
clicks all are undone, so that sessions keep a realistic size. A response that lacks the
point of its own click counts as lost.
"""

import http.client
import json
import threading
import time
import urllib.parse
from collections import defaultdict

import numpy as np
from absl import flags

from c2g_jax.cli import launch
from c2g_jax.types import InputError

URL = flags.DEFINE_string("url", "http://127.0.0.1:8321", "A server on this machine.")
SESSIONS = flags.DEFINE_integer("sessions", 8, "Number of concurrent sessions.", 1)
SECONDS = flags.DEFINE_float("seconds", 120.0, "Duration of the load, at most 600.", 0)
PAUSE = flags.DEFINE_float("pause", 0.0, "Seconds between the clicks of a session.", 0)


class Client:
    """One session on one connection; records seconds per kind of request."""

    def __init__(self, address: str, seed: int):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.rng, self.lost = np.random.default_rng(seed), []
        self.took = defaultdict(list)
        opened = json.loads(self.ask("open", "POST", "/sessions", {}))
        self.path, self.video = f"/sessions/{opened['id']}", opened["video"]

    def ask(self, kind: str, method: str, path: str, body=None) -> bytes:
        """Return the body of the response. Raises RuntimeError for status >= 400."""
        headers = {} if body is None else {"Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body)
        begin = time.perf_counter()
        self.connection.request(method, path, sent, headers)
        response = self.connection.getresponse()
        data = response.read()
        self.took[kind].append(time.perf_counter() - begin)
        if response.status >= 400:
            raise RuntimeError(f"{response.status}: {data.decode()}")
        return data

    def click(self) -> None:
        """Click a new subject, look for the point in the response, fetch the frame."""
        video = self.video
        frame = int(self.rng.integers(video["num_frames"]))
        x = float(self.rng.uniform(0, video["width"] - 1))
        y = float(self.rng.uniform(0, video["height"] - 1))
        body = {"kind": "point", "frame": frame, "x": x, "y": y}
        answer = json.loads(self.ask("click", "POST", f"{self.path}/prompts", body))
        points = [
            (p["x"], p["y"]) for o in answer["view"]["objects"] for p in o["prompts"]
        ]
        if not any(abs(px - x) + abs(py - y) < 0.01 for px, py in points):
            self.lost.append(body)
        self.ask("picture", "GET", f"{self.path}/frames/{frame}.jpg")

    def run(self, until: float) -> None:
        clicks = 0
        while time.monotonic() < until:
            try:
                self.click()
                clicks += 1
                # Keep a few subjects per session, not hundreds.
                if clicks % 5 == 0:
                    for _ in range(5):
                        self.ask("undo", "POST", f"{self.path}/undo")
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                self.lost.append(str(error))
                self.connection.close()
            time.sleep(PAUSE.value)
        self.ask("close", "DELETE", self.path)


def address_of(url: str) -> str:
    """Return HOST:PORT of a local server. Raises InputError for any other URL."""
    try:
        parts = urllib.parse.urlsplit(url)
        here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        here = here and (parts.port is None or parts.port > 0)
    except ValueError:  # raised for a bad port
        here = False
    if not here:
        raise InputError(f"--url={url}: name a server on this machine")
    return parts.netloc


def main(argv) -> None:
    del argv
    address = address_of(URL.value)
    try:
        clients = [Client(address, seed) for seed in range(SESSIONS.value)]
    except OSError as error:
        raise InputError(
            f"{URL.value}: no server answers: start python -m c2g_jax.web"
        ) from error
    until = time.monotonic() + min(SECONDS.value, 600.0)
    threads = [threading.Thread(target=c.run, args=(until,)) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{'request':10}{'count':>8}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}")
    for kind in ("open", "click", "picture", "undo"):
        took = 1e3 * np.concatenate([c.took[kind] for c in clients])
        if len(took):
            middle, high = np.percentile(took, (50, 95))
            print(
                f"{kind:10}{len(took):8}{middle:9.0f}{high:9.0f}{took.max():9.0f}",
            )
    lost = [what for c in clients for what in c.lost]
    print(f"lost: {len(lost)}")
    for what in lost[:3]:
        print(" ", what)


if __name__ == "__main__":
    launch.run(main)
