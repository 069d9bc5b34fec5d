"""SAM 2.0 gives the results of upstream, and converts back unchanged."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

from c2g_jax.checkpoints.released.official import ONLY_2_1, convert
from c2g_jax.checkpoints.safetensors import parameters
from c2g_jax.sam2.config import sam2_config
from c2g_jax.types import InputError
from porting.compare import assert_within
from porting.official import port
from porting.pair import Clip, make_pair
from porting.reference import build_reference
from porting.reverse import reverse
from porting.runs import VideoPrompt, run_ours
from porting.scenes import disc_centre, draw_video
from porting.stages import tracking_rows

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def official_2_0(official):
    return {name: x for name, x in official.items() if name not in ONLY_2_1}


def test_sam_2_0_there_and_back(official_2_0, tmp_path):
    torch.save({"model": official_2_0}, tmp_path / "sam2_hiera_toy.pt")
    manifest = convert(tmp_path / "sam2_hiera_toy.pt", tmp_path / "folder")
    assert (manifest["kind"], manifest["size"]) == ("sam2.0", "toy")
    assert manifest["source"]["tensors"] == 356
    done = reverse(tmp_path / "folder", tmp_path / "back.pt")
    assert done == ("SAM 2.0 toy", 356, ())
    state = torch.load(tmp_path / "back.pt", weights_only=True)["model"]
    assert state.keys() == official_2_0.keys()
    assert all(torch.equal(state[name], official_2_0[name]) for name in state)
    build_reference("toy", release="2.0").load_state_dict(state, strict=True)


def test_sam_2_0_runs_as_the_reference_runs_it(official_2_0):
    """The reference is built from its 2.0 configuration."""
    pair = make_pair("toy", official_2_0, 128)
    assert pair.reference.no_obj_embed_spatial is None
    assert not pair.reference.add_tpos_enc_to_obj_ptrs
    clip = Clip(pair, draw_video(5, 96, 128))
    (x, y), (height, width) = disc_centre(0), clip.size
    prompts = [VideoPrompt(0, 1, dict(points=[[x * width, y * height]], labels=[1]))]
    assert_within(tracking_rows(clip, prompts))
    scores = {t: r.object_score for (t, _), r in run_ours(clip, prompts).items()}
    assert min(scores.values()) < 0  # absent: the 2.1 embedding would be added here


def test_what_sam_2_0_lacks_does_matter(official, official_2_0):
    config = sam2_config("toy", 128)
    whole = parameters(port(official, config))
    without = parameters(port(official_2_0, config))
    different = {k for k in whole if not np.array_equal(whole[k], without[k])}
    assert different == {
        "no_obj_embed_spatial", "obj_ptr_tpos_proj.kernel", "obj_ptr_tpos_proj.bias"
    }  # fmt: skip
    assert not any(without[name].any() for name in different)


def test_a_part_of_what_sam_2_0_lacks_is_missing(official):
    state = dict(official)
    del state["obj_ptr_tpos_proj.bias"]
    with pytest.raises(InputError, match=r"1 missing: obj_ptr_tpos_proj\.bias"):
        port(state, sam2_config("toy"))
