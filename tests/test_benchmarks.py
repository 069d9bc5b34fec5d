"""What the benchmarks hook into is there, and what they write stays."""

import json

from benchmarks.encodings import Encodings
from benchmarks.measures import record
from c2g_jax.evaluation import batches


def test_encodings_are_counted(monkeypatch):
    monkeypatch.setattr(batches, "encode_frame", lambda *given: given)
    counted = Encodings()
    assert batches.encode_frame("model", "frame") == ("model", "frame")
    assert counted.count == 1


def test_figures_are_kept_beside_those_of_other_runs(tmp_path):
    file = tmp_path / "performance.json"
    record(file, "cpu", "large", {"encoder_vs_torch": 1.5, "parts": {}})
    record(file, "cpu", "tiny", {"encoder_vs_torch": 0.5})
    record(file, "cpu", "large", {"encoder_vs_torch": 1.25})
    assert json.loads(file.read_text()) == {
        "cpu": {
            "large": {"encoder_vs_torch": 1.25, "parts": {}},
            "tiny": {"encoder_vs_torch": 0.5},
        }
    }
