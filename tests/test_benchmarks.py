"""What the benchmarks hook into is there."""

from benchmarks.encodings import Encodings
from c2g_jax.evaluation import batches


def test_encodings_are_counted(monkeypatch):
    monkeypatch.setattr(batches, "encode_frame", lambda *given: given)
    counted = Encodings()
    assert batches.encode_frame("model", "frame") == ("model", "frame")
    assert counted.count == 1
