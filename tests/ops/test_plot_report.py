"""Pictures of a measurement: fixed windows, scale bars that are right, and pages that need nothing else."""

import base64
import io
import re
from html.parser import HTMLParser

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image
from tests.made import stack

from bonectl.core import pictures
from bonectl.errors import UsageError
from bonectl.measuring import report
from bonectl.measuring.request import Request
from bonectl.ops import measure as ops


def examine(volume, **asked):
    """The numbers, and the volumes that they were measured in."""
    return ops.examine(volume, Request(keep=True, **asked))


@pytest.fixture(scope="module")
def ball():
    z, y, x = np.mgrid[:20, :20, :24] - 9.5
    return np.where(z * z + y * y + x * x < 49, 1000, 0).astype(np.float32)


@pytest.fixture(scope="module")
def found(ball):
    noisy = ball + np.random.default_rng(0).normal(0, 300, ball.shape).astype(np.float32)  # some voxels change sides
    return examine(
        stack(noisy), reference=stack(ball), metrics="bvtv + surface + tbth(convention=bonej)", mask="cylinder",
        intervals=0.16,
    )  # fmt: skip


def image(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_the_same_measurement_gives_the_same_bytes(found):
    first = report.png(found)
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert report.png(found) == first


def test_no_setting_outlives_the_picture(found):
    before = dict(mpl.rcParams)
    report.png(found)
    assert dict(mpl.rcParams) == before


def test_the_window_decides_the_greys_and_not_the_image():
    """Twice the values are twice as bright: nothing is stretched to the image's own range."""
    values = np.full((8, 8), 400.0)
    means = []
    for factor in (1, 2):
        with pictures.house():
            figure = pictures.figure(40, 40)
            axes = figure.add_subplot()
            drawn = pictures.section(axes, factor * values, window=(0, 1000), sides=(0.02, 0.02))
            means.append(drawn.to_rgba(factor * values)[0, 0, 0])
    assert means == pytest.approx([0.4, 0.8], abs=0.01)


def test_an_empty_window_is_refused(found):
    with pytest.raises(UsageError, match="black must lie below white"):
        report.png(found, window=(5.0, 5.0))


@pytest.mark.parametrize(
    ("length", "bar"), [(0.26, 0.2), (0.5, 0.5), (1.0, 1.0), (0.0999, 0.05), (7.9, 5.0), (0.02, 0.02)]
)
def test_scale_bars_have_round_lengths(length, bar):
    assert pictures.round_length(length) == pytest.approx(bar)


def test_the_scale_bar_is_as_long_as_it_says():
    """Of 100 pixels of 0.02 mm: the fifth is 0.4 mm, so the bar is 0.2 mm, a tenth of the picture."""
    with pictures.house():
        figure = pictures.figure(40, 40)
        axes = figure.add_subplot()
        pictures.section(axes, np.zeros((50, 100)), window=(-1, 1), sides=(0.04, 0.02))
    (bar,) = axes.lines
    assert float(np.ptp(bar.get_xdata())) == pytest.approx(0.2)
    assert axes.texts[0].get_text() == "0.2 mm"
    assert axes.get_xlim() == (0, 2.0)
    assert axes.get_ylim() == (2.0, 0)


def test_an_outline_runs_around_its_mask():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 3:7] = True
    with pictures.house():
        axes = pictures.figure(40, 40).add_subplot()
        pictures.overlay(axes, mask, sides=(0.1, 0.1))
    (path,) = axes.collections[0].get_paths()
    low, high = path.vertices.min(0), path.vertices.max(0)
    assert low == pytest.approx((0.3, 0.2))
    assert high == pytest.approx((0.7, 0.5))


def test_values_without_a_calibration_get_a_window_from_marrow_and_bone(ball):
    grey = (100 + ball / 10).astype(np.float32)  # marrow 100, bone 200
    found = examine(stack(grey, "grey"), metrics="bvtv", threshold=150.0)
    assert report._window(found, None) == (50.0, 250.0)
    assert report._window(found, (0.0, 99.0)) == (0.0, 99.0)


def test_one_window_for_volume_and_reference(ball):
    grey = (100 + ball / 10).astype(np.float32)
    wider = (80 + 0.14 * ball).astype(np.float32)
    found = examine(stack(wider, "grey"), reference=stack(grey, "grey"), metrics="bvtv", threshold=150.0)
    assert report._window(found, None) == (50.0, 250.0)


def test_the_caption_says_what_decides_the_picture(found):
    text = report.caption(found)
    for part in (
        "Slice z = 10 of 20",
        "black -400, white 1600 mg HA/cm³",
        "voxels of 20 x 20 x 20 µm",
        "Volume of interest: cylinder",
        "> 525 mgHA/cm3, midpoint",
        "filter before the threshold: none",
        "95 %, bootstrap of 8 sub-volumes",
    ):
        assert part in text


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]


def test_a_page_needs_nothing_else_and_hides_nothing(found):
    text = report.html(found, title="<fbp> & co.npy", origin="bonectl measure fbp.npy")
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert "link" not in page.tags
    (link,) = page.links
    data = base64.b64decode(link.removeprefix("data:image/png;base64,"))
    assert image(data).std() > 10
    assert "http" not in text
    assert "&lt;fbp&gt; &amp; co.npy" in text
    for row in found.table.rows:
        assert f"<td>{row.number.name}</td>" in text
    for name in found.table.conditions:
        assert f"<td>{name.replace('_', ' ')}</td>" in text
    assert len(found.table.warnings) == text.count("Do not trust") > 0
    row = found.table.row("bvtv")
    around = row.difference_interval
    assert row.reference < row.number.value != row.difference
    for value in (row.number.value, row.reference, row.difference):
        assert f"<td class=n>{value:.5g}</td>" in text
    assert "<th class=n>95 % of the difference</th>" in text
    assert f"<td class=n>{around.low:.3g} to {around.high:.3g}</td>" in text


@pytest.mark.parametrize("window", [(-30.0, 200.0), (0.0, 255.0), (-1000.0, 3000.0)])
def test_bins_of_whole_numbers_hold_as_many_each(window):
    """Else a histogram of 8-bit grey values has teeth."""
    edges = report.bins_of(np.dtype(np.int16), *window)
    counts, _ = np.histogram(np.arange(-5000, 5000), edges)
    assert len(set(counts)) == 1
    assert edges[0] <= window[0] < window[1] <= edges[-1]
    assert len(counts) <= report.BINS + 1


@pytest.mark.parametrize("unit", ["label", "grey", "1/cm"])
def test_every_kind_of_volume_is_drawn(ball, unit):
    values = (ball > 0).astype(np.uint8) if unit == "label" else ball / 1000
    found = examine(stack(values, unit), metrics="bvtv", threshold=None if unit == "label" else 0.5)
    assert image(report.png(found)).std() > 10


def test_voxels_that_are_not_cubic_are_drawn_without_a_thickness_map(ball):
    found = examine(stack(ball, spacing=(0.04, 0.02, 0.02)), metrics="bvtv")
    assert report._thickness(found.specimen) is None
    assert image(report.png(found)).std() > 10


def test_bars_are_percent_of_the_reference_with_their_interval(found):
    rows = report._biased(found.table)
    assert [row.number.name for row in rows] == ["bvtv", "bsbv", "bstv", "tbth", "tbth_sd"]
    bvtv = rows[0]
    low, high = report._percent_interval(bvtv)
    assert low < bvtv.percent < high
    assert bvtv.percent > 5
    ends = bvtv.difference_interval
    assert low == pytest.approx(100 * ends.low / bvtv.reference)
    assert high == pytest.approx(100 * ends.high / bvtv.reference)


def test_the_picture_has_the_width_of_a_page(found):
    height, width, _ = image(report.png(found)).shape
    assert width == pytest.approx(report.WIDTH / 25.4 * pictures.DOTS_PER_INCH, abs=1)
    assert re.fullmatch("#[0-9A-F]{6}", pictures.BLUE)
    assert width > height > width / 3
