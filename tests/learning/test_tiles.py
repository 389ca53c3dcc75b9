"""Tiles give what the whole slice gives, bit for bit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bonectl.learning.denoiser import Reach
from bonectl.learning.tiles import apply, padded, spans
from bonectl.models.drunet import drunet
from bonectl.models.gaussian import gaussian
from bonectl.models.msd import msd
from bonectl.models.nafnet import nafnet
from bonectl.models.redcnn import redcnn
from bonectl.models.unet2d import unet2d
from bonectl.models.unet3d import unet3d
from bonectl.models.unet25d import unet25d


@given(
    cells=st.integers(1, 60),
    side=st.integers(1, 80),
    pixels=st.integers(0, 30),
    scales=st.integers(0, 4),
)
def test_spans_tile_the_axis_on_the_grid(cells, side, pixels, scales):
    grid = 2**scales
    length = cells * grid
    cut = spans(length, side, Reach(pixels=pixels, grid=grid))
    assert [span.first for span in cut] == [0, *(span.last for span in cut[:-1])]
    assert cut[-1].last == length
    for span in cut:
        assert span.start % grid == span.stop % grid == span.first % grid == 0
        assert span.start == 0 or span.first - span.start >= pixels
        assert span.stop == length or span.stop - span.last >= pixels


def test_a_model_without_halo_gets_the_whole_axis():
    (span,) = spans(57, 8, Reach(pixels=None))
    assert (span.start, span.stop, span.first, span.last) == (0, 57, 0, 57)


def test_padding_repeats_the_edge():
    volume = torch.arange(6.0).view(1, 1, 2, 3)
    assert padded(volume, 4)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert padded(volume, 1) is volume


def random_weights(model):
    """Give the last convolution weights too: at zero, any tile would agree."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()


@pytest.mark.parametrize("shape", [(97, 131), (64, 64), (33, 200)])
@pytest.mark.parametrize("side", [24, 64])
@pytest.mark.parametrize(
    "model",
    [
        random_weights(unet25d(width=8, scales=3)),
        random_weights(unet2d(width=8, scales=2)),
        random_weights(unet25d(slices=3, width=4, scales=1)),
        gaussian(sigma=1.3),
        random_weights(unet3d(width=4, scales=2)),
        random_weights(redcnn(width=8)),
        random_weights(msd(depth=6, width=2, dilations=4)),
        random_weights(msd(depth=8, dilations=4)),
        random_weights(drunet(width=4, scales=2, blocks=1)),
        random_weights(nafnet(width=8)),
    ],
    ids=["unet25d", "unet2d", "one scale", "gaussian", "unet3d", "redcnn", "msd wide", "msd", "drunet", "nafnet"],
)
@torch.inference_mode()
def test_tiled_is_whole_but_for_last_digits(model, shape, side):
    """How libraries cut up a convolution depends on its size, and on the threads."""
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn((1, 2 + 2 * model.reach.slices, *shape), generator=generator)
    whole = apply(model, volume, 10_000)
    assert whole.shape == (1, 2, *shape)
    assert float((apply(model, volume, side) - whole).abs().max()) <= 2e-6 * float(whole.abs().max())
