"""How the files of this folder were written: `python -m tests.saved.write`.

They stay as version 0.1.0 wrote them, so that what reads them is tested with the files
that people have. Another version's go beside them.
"""

import json
import os
import signal
from pathlib import Path

from flax import nnx

import c2g_jax
from c2g_jax.checkpoints.orbax import save_orbax
from c2g_jax.checkpoints.pretrained import save_click2graph
from tests.saved.small import FORMS, frames, shown, small_model
from tests.training import toy_run

HERE = Path(__file__).parent


def stop(number: int) -> None:
    if number == 7:
        os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    for form in FORMS:
        model = small_model(form)
        save_click2graph(model, HERE / form, {"dtype": "float16"})
    save_orbax(toy_run.Net(nnx.Rngs(1)), HERE / "orbax", {"size": "net"})

    session = c2g_jax.open(frames(), model=small_model("learned"))
    session.click(0, 12, 18)
    for _ in session.track():
        pass
    session.click(2, 14, 12, positive=False, object_id=1)
    session.rename(1, "cat")
    session.set_predicate(1, 2, "holding", 1, 4)
    session.rename(2, "ball")
    session.undo()
    session.save(HERE / "session.c2g")
    (HERE / "shown.json").write_text(json.dumps(shown(session), indent=1) + "\n")
    for _ in session.track(start=2):
        pass
    (HERE / "tracked.json").write_text(json.dumps(shown(session), indent=1) + "\n")
    session.save_graph(HERE / "scene_graph.json", threshold=0.0)
    session.close()

    # Stopped in the middle of its steps, as by Ctrl-C.
    (HERE / "run").mkdir()
    toy_run.make_run(HERE / "run", loader=toy_run.ToyLoader(at=stop)).train()


def annotated() -> None:
    """What a person draws, accepts and merges, in a file of the session's version 2."""
    model = small_model("learned")
    session = c2g_jax.open(frames(), model=model, guesses="suggest")
    session.click(0, 12, 18)
    for _ in session.track():
        pass
    session.rename(1, "robot", new="thing")
    found = [o.object_id for o in session.objects() if o.state == "suggested"]
    session.accept(found[0])
    session.relate(1, found[0], "on", [(0, 1), (3, 5)])
    session.split_span((1, found[0], "on"), 4)
    session.box(0, 40, 4, 70, 40)
    new = session.cut(1, 3)
    session.set_spans(new, [(3, 4)])
    session.merge(new, found[0])
    session.save(HERE / "annotated.c2g")
    (HERE / "annotated.json").write_text(json.dumps(shown(session), indent=1) + "\n")
    session.close()


if __name__ == "__main__":
    main()
