"""The names that `c2g_jax.sam2` and `c2g_jax.checkpoints` give their users."""

import pytest

import c2g_jax.checkpoints
import c2g_jax.sam2
from tests.commands import python

NAMES = {
    c2g_jax.sam2: {
        "Sam2AutomaticMaskGenerator": "c2g_jax.sam2.predictors.automatic_masks",
        "Sam2ImagePredictor": "c2g_jax.sam2.predictors.image",
        "Sam2VideoPredictor": "c2g_jax.sam2.predictors.video",
    },
    c2g_jax.checkpoints: {
        "load_click2graph": "c2g_jax.checkpoints.pretrained",
        "load_model": "c2g_jax.checkpoints.heads",
        "load_sam2": "c2g_jax.checkpoints.pretrained",
    },
}


@pytest.mark.parametrize("package", NAMES, ids=lambda package: package.__name__)
def test_public_names(package):
    assert set(package.__all__) == NAMES[package].keys()
    assert set(package.__all__) <= set(dir(package))
    for name, module in NAMES[package].items():
        assert getattr(package, name).__module__ == module
    with pytest.raises(AttributeError, match="has no attribute 'Sam3'"):
        _ = package.Sam3


def test_packages_import_nothing_before_it_is_used():
    code = "import sys, c2g_jax.sam2, c2g_jax.checkpoints; print('jax' in sys.modules)"
    done = python("-c", code)
    assert done.stdout.split() == ["False"], done.stderr
