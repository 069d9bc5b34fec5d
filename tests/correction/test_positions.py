"""Positions of what a user chooses, in lists written by hand."""

from types import SimpleNamespace

from c2g_jax.correction.positions import PositionLog, summary, table
from c2g_jax.correction.simulate import Correction


class Lists:
    """A session whose lists depend on whether it has a prior."""

    prior = None

    def likely_predicates(self, subject_id, object_id):
        assert (subject_id, object_id) == (1, 2)
        return ["on", "by", "in"] if self.prior else ["in", "by", "on"]

    def likely_categories(self, subject_id):
        assert subject_id == 1
        return ["mat", "cat"] if self.prior else ["cat", "mat"]

    def graph(self):
        leaders = {1: None, 2: 1}
        return SimpleNamespace(object=lambda i: SimpleNamespace(prompted_by=leaders[i]))


def test_positions_with_and_without_the_prior():
    log, session = PositionLog("a prior"), Lists()
    log(session, Correction(5, 1, 2, "on", 0, 4))
    log(session, Correction(3, 1, 2, "by", 0, 4))
    log(session, Correction(2, None, 2, "mat"))
    log(session, Correction(2, None, 1, "cat"))  # a subject has no subject
    log(session, Correction(2, None, 2, "dog"))  # in no list
    assert log.found == [("predicate", 1, 3), ("predicate", 2, 2), ("name", 1, 2)]
    found = summary(log.found)
    assert found["predicate"] == {
        "chosen": 2,
        "mean with prior": 1.5,
        "mean without": 2.5,
        "median with prior": 1.5,
        "median without": 2.5,
    }
    assert "| predicate | 2 | 1.5 (1.5) | 2.5 (2.5) |" in table(found)
    assert table(summary([])) == ""
