"""What each preparation gives back of a known scan that was spoilt, beside algotom's where it has the part.

    python bench/preparations.py [SIDE]

A simulated scan of bone is spoilt in one way at a time. Errors are those of the slices reconstructed from it, over the
root mean square of the slices from the scan without noise: before it was spoilt (noise alone), spoilt, after our part,
after algotom's. Times are CPU milliseconds of one sinogram or projection. Each error has a bound; a part with a wrong
knob, and the spoilt scan itself, must fail it. Ends with status 1 where one does not.
"""

import re
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from truth import Judge, apart

import bonectl
from bonectl.core import threads
from bonectl.core.draws import generator
from bonectl.core.header import PROJECTIONS, Header
from bonectl.core.scan import Frames, Source
from bonectl.core.stack import Stack
from bonectl.scanning.joining import axis_for
from bonectl.scanning.preparing import Beam, parts, prepared

try:
    import algotom.post.postprocessing as late
    import algotom.prep.calculation as centring
    import algotom.prep.conversion as joined
    import algotom.prep.removal as removal
except ImportError:
    removal = joined = centring = late = None

# Columns; of fewer, only what takes seconds is run.
USUAL = 256
ROWS, VIEWS, ENERGY, PHOTONS = 4, 480, 25.0, 2e4


@dataclass
class Known:
    """A scan in transmission, (row, view, col): without noise, and as it was measured."""

    header: Header
    clean: np.ndarray
    noisy: np.ndarray

    @classmethod
    def made(cls, side: int, geometry: str) -> "Known":
        """Of a bone, by geometry."""
        bone = bonectl.phantom("iliac", shape=(ROWS, side, side), voxel_size=0.01, seed=3)
        held, header = bone.collect(), bone.header
        settings = {"geometry": geometry, "energy": ENERGY, "photons": PHOTONS, "unit": "transmission", "seed": 1}
        noisy = bonectl.simulate(Stack.of(held, header), **settings)
        clean = bonectl.simulate(Stack.of(held, header), **settings, noise="none")
        return cls(noisy.header, clean.collect(), noisy.collect())

    def stack(self, values: np.ndarray, **changes: object) -> Stack:
        """Values as a scan."""
        values = np.ascontiguousarray(values, dtype=np.float32)
        return Stack.of(values, self.header.replace(shape=values.shape, dtype="<f4", **changes))

    def volume(self, stack: Stack) -> np.ndarray:
        """What is reconstructed within the circle that all views see."""
        return within(bonectl.reconstruct(stack).collect())


def within(volume: np.ndarray) -> np.ndarray:
    """The voxels of a volume within the circle that all views see."""
    place = np.arange(volume.shape[1]) - (volume.shape[1] - 1) / 2
    return volume[:, np.hypot(place[:, None], place) < 0.45 * volume.shape[1]]


def done(stack: Stack, steps: str, beam: Beam | None = None) -> tuple[Stack, float]:
    """The scan after some steps, and milliseconds for each plane."""
    work = prepared(stack, parts(steps), beam=beam)
    began = time.process_time()
    held = work.collect()
    return Stack.of(held, work.header), 1e3 * (time.process_time() - began) / len(held)


def error(known: Known, stack: Stack, truth: np.ndarray) -> float:
    """Of the reconstruction, relative."""
    return apart(known.volume(stack), truth)


def spoilt_by_rings(known: Known) -> np.ndarray:
    """Every pixel answers by 2 % more or less; some are a wide stripe, some do not answer, fluctuate, come and go."""
    draw, bad = generator(5, "rings"), known.noisy.copy()
    rows, views, columns = bad.shape
    bad *= 1 + 0.02 * draw.standard_normal((rows, 1, columns))
    for row in range(rows):
        wide, stuck, restless, passing = draw.choice(np.arange(40, columns - 40, 8), 4, replace=False)
        bad[row, :, wide : wide + 6] *= 1.08
        bad[row, :, stuck] = 0.5 + 0.01 * draw.standard_normal(views)
        bad[row, :, restless] *= 1 + 0.3 * draw.standard_normal(views)
        bad[row, : views // 2, passing : passing + 2] *= 1.05
    return np.maximum(bad, 1e-4)


def spoilt_by_zingers(known: Known) -> np.ndarray:
    """One reading in 2000 is hit, with a reading or two beside it."""
    draw, bad = generator(5, "zingers"), known.noisy.copy()
    rows, views, columns = bad.shape
    for row, view, column in zip(
        *(draw.integers(0, n, bad.size // 2000) for n in (rows, views, columns - 2)), strict=True
    ):
        bad[row, view, column : column + draw.integers(1, 4)] += draw.uniform(0.5, 3)
    return bad


def frames(values: np.ndarray, known: Known, at: tuple[float, ...] = ()) -> Frames:
    """Frames in memory."""
    values = np.ascontiguousarray(values, dtype=np.float32)
    spacing = (None, known.header.spacing[0], known.header.spacing[2])
    header = Header(shape=values.shape, axes=PROJECTIONS, unit="counts", spacing=spacing)

    @contextmanager
    def opened():
        yield Stack.of(values, header)

    return Frames(Source(header, opened), at)


def answering(row: np.ndarray) -> np.ndarray:
    """A sinogram whose pixels that do not answer are bridged, by algotom: what our methods begin with."""
    return removal.remove_dead_stripe(row, 3.0, 51, residual=False)


def by_rows(work: Callable[[np.ndarray], np.ndarray], bad: np.ndarray) -> tuple[np.ndarray, float]:
    """A peer's function of one sinogram over all, and milliseconds for each."""
    began = time.process_time()
    done = np.stack([work(row) for row in bad])
    return done, 1e3 * (time.process_time() - began) / len(bad)


class Lines:
    """The table as it is printed."""

    def __init__(self, known: Known, judge: Judge) -> None:
        self.known, self.judge = known, judge
        self.truth = known.volume(known.stack(known.clean))
        self.noise = error(known, known.stack(known.noisy), self.truth)
        print("| spoilt by | steps | noise | spoilt | after | ms a plane | a clean scan after | algotom | its ms |")
        print("|---|---|---|---|---|---|---|---|---|")

    def add(
        self,
        what: str,
        steps: str,
        stack: Callable[[], Stack],
        *,
        most: float,
        beam: Beam | None = None,
        clean: bool = True,
        wrong: str | None = None,
        peer: Callable[[np.ndarray], np.ndarray] | None = None,
        before: float | None = None,
    ) -> None:
        """A row. `most` times the noise is the bound that the part keeps and the spoilt scan must not."""
        known, bound = self.known, most * self.noise
        spoilt = error(known, stack(), self.truth) if before is None else before
        self.judge.refuse(f"{what}, spoilt", spoilt, bound)
        mended, pace = done(stack(), steps, beam)
        found = error(known, mended, self.truth)
        self.judge(f"{what}: {steps}", found, bound)
        kept = ""
        if clean:
            kept = f"{error(known, done(known.stack(known.noisy), steps)[0], self.truth):.4f}"
        if wrong is not None:
            self.judge.refuse(f"{what}: {wrong}", error(known, done(stack(), wrong, beam)[0], self.truth), bound)
        theirs, took = "", ""
        if peer is not None:
            values, milliseconds = by_rows(peer, stack().collect())
            theirs, took = f"{error(known, known.stack(values), self.truth):.4f}", f"{milliseconds:.1f}"
        told = re.sub("'/.*?'", "FILE", steps)  # a temporary one
        print(
            f"| {what} | `{told}` | {self.noise:.4f} | {spoilt:.4f} | {found:.4f} | {pace:.1f} | {kept} "
            f"| {theirs} | {took} |",
            flush=True,
        )


def main() -> None:
    """Print the table, and judge it."""
    side = int(sys.argv[1]) if len(sys.argv) > 1 else USUAL
    threads.choose(1)
    known, judge = Known.made(side, f"parallel(views={VIEWS})"), Judge()
    lines = Lines(known, judge)
    rings = spoilt_by_rings(known)
    theirs = {
        "smoothing": removal and (lambda row: removal.remove_stripe_based_regularization(answering(row), 0.005)),
        "wavelet": removal and (lambda row: removal.remove_stripe_based_wavelet_fft(answering(row), 4, 2, "db5")),
        "sorting": removal and (lambda row: removal.remove_stripe_based_sorting(answering(row), 21)),
        "vo": removal and removal.remove_all_stripe,
    }
    for method, most in (("smoothing", 1.6), ("wavelet", 1.5), ("sorting", 2.2), ("vo", 2.2)):
        lines.add(
            "rings",
            f"stripes(method={method})",
            lambda: known.stack(rings),
            most=most,
            wrong="stripes(method=smoothing, size=2, snr=1000)" if method == "smoothing" else None,
            peer=theirs[method],
        )
    hit = spoilt_by_zingers(known)
    peer = removal and (lambda row: removal.remove_zinger(row, 0.08))
    lines.add("zingers", "zingers", lambda: known.stack(hit), most=1.05, wrong="zingers(threshold=1000)", peer=peer)
    dead_and_fading(lines, known)
    drifting(known, judge)
    moved(lines, known)
    half_turns(judge, side)
    in_slices(lines, known, rings)
    if side >= USUAL:
        overlaps(judge, side)
    judge.close()


def in_slices(lines: Lines, known: Known, rings: np.ndarray) -> None:
    """Rings taken off slices, in place of stripes off sinograms: why there is no such step.

    In polar coordinates about the axis: what a median along the radius takes off, as a median over a sector. The day
    that it leaves less than stripes, this fails.
    """
    turn = (np.arange(VIEWS) + 0.5)[:, None] * np.pi / VIEWS
    draw = generator(5, "passing").standard_normal((2, ROWS, 1, known.noisy.shape[2]))
    passing = known.noisy * (1 + 0.03 * (draw[0] * np.sin(turn) + draw[1] * np.maximum(np.cos(2 * turn), 0)))
    print("\n| spoilt by | spoilt | stripes | medians in slices | its ms a slice | algotom in slices |")
    print("|---|---|---|---|---|---|")
    cases = (
        ("rings", rings, "stripes(method=wavelet, sigma=2)"),
        ("rings that come and go", passing, "stripes(method=wavelet, sigma=2)"),
    )
    for what, bad, steps in cases:
        slices = bonectl.reconstruct(known.stack(bad)).collect()
        spoilt, stripes = (
            error(known, stack, lines.truth) for stack in (known.stack(bad), done(known.stack(bad), steps)[0])
        )
        began = time.process_time()
        found = {
            sector: apart(within(np.stack([less_rings(one, sector) for one in slices])), lines.truth)
            for sector in (180, 20)
        }
        took = 1e3 * (time.process_time() - began) / len(slices) / len(found)
        lines.judge.refuse(f"{what}, in slices", min(found.values()), stripes)
        theirs = ""
        if late is not None:
            theirs = f"{apart(within(np.stack([late.remove_ring_based_fft(one) for one in slices])), lines.truth):.4f}"
        print(
            f"| {what} | {spoilt:.4f} | {stripes:.4f} | {min(found.values()):.4f} | {took:.0f} | {theirs} |", flush=True
        )


def less_rings(one: np.ndarray, sector: float, size: int = 31) -> np.ndarray:
    """A slice less what stands out along the radius in sectors of so many degrees."""
    from scipy.ndimage import map_coordinates, median_filter

    middle = (len(one) - 1) / 2
    reach, turn = 2 * int(np.ceil(middle)) + 2, int(np.ceil(2 * np.pi * middle))
    angle, radius = np.arange(turn)[:, None] * 2 * np.pi / turn, np.arange(reach) / 2
    polar = map_coordinates(
        one, [middle + radius * np.sin(angle), middle + radius * np.cos(angle)], order=3, mode="nearest"
    )
    out = polar - median_filter(polar, (1, size), mode="mirror")
    parts = round(360 / sector)
    rings = np.stack([np.median(part, axis=0) for part in np.array_split(out, parts)])
    y, x = np.indices(one.shape) - middle
    place = np.mod(np.arctan2(y, x) / (2 * np.pi) * parts - 0.5, parts)
    return one - map_coordinates(
        np.concatenate([rings, rings[:1]]), [place, 2 * np.hypot(y, x)], order=1, mode="nearest"
    )


def dead_and_fading(lines: Lines, known: Known) -> None:
    """Counts with a beam that changes, flats before and after, and pixels that read nothing."""
    draw, columns = generator(5, "flats"), known.noisy.shape[2]
    first, last = (1000 * (1 + 0.05 * draw.standard_normal((ROWS, 1, columns))) for _ in range(2))
    gone = (np.arange(VIEWS) + 0.5)[:, None] / VIEWS
    counts = known.noisy * (first + gone * (last - first)) + 100
    dead = draw.random((ROWS, columns)) < 0.02
    counts[np.broadcast_to(dead[:, None], counts.shape)] = 100
    flats = np.concatenate([np.repeat(white[None, :, 0], 5, axis=0) for white in (first, last)]) + 100
    whole = Beam(frames(flats, known, (0.0,) * 5 + (float(VIEWS),) * 5), frames(np.full_like(flats[:1], 100), known))
    flats[:, dead] = 100
    beam = Beam(frames(flats, known, (0.0,) * 5 + (float(VIEWS),) * 5), whole.darks)
    mean, _ = done(known.stack(counts, unit="counts"), "badpixels + flats", beam)
    lines.add(
        "a beam that changes, dead pixels",
        "badpixels + flats(mode=linear)",
        lambda: known.stack(counts, unit="counts"),
        most=1.05,
        beam=beam,
        clean=False,
        wrong="badpixels + flats(mode=nearest)",
        before=error(known, mean, lines.truth),
    )


def drifting(known: Known, judge: Judge) -> None:
    """A beam whose level and tilt change from view to view: by line integrals, of which slices show only the edges."""
    rise, tilt = 0.05 * generator(5, "drift").standard_normal((2, VIEWS, 1))
    bad = known.noisy * np.exp(rise + tilt * np.linspace(-1, 1, known.noisy.shape[2]))
    truth = -np.log(known.clean)
    noise, spoilt = (apart(-np.log(np.maximum(values, 1e-4)), truth) for values in (known.noisy, bad))
    mended, pace = done(known.stack(bad), "normalise(air=8)")
    found = apart(-np.log(np.maximum(mended.collect(), 1e-4)), truth)
    judge("drift: normalise(air=8)", found, 1.2 * noise)
    judge.refuse("drift, spoilt", spoilt, 1.2 * noise)
    columns = bad.shape[2] // 2
    wrong = done(known.stack(bad), f"normalise(air={columns})")[0].collect()
    judge.refuse("drift: air where bone is", apart(-np.log(np.maximum(wrong, 1e-4)), truth), 1.2 * noise)
    line = f"| {noise:.4f} | {spoilt:.4f} | {found:.4f} | {pace:.1f} | | | |"
    print(f"| a beam that drifts (line integrals) | `normalise(air=8)` {line}")


def moved(lines: Lines, known: Known) -> None:
    """Views that lie beside their place, and a table that says so."""
    from tempfile import NamedTemporaryFile

    from scipy.ndimage import shift

    away = np.round(generator(5, "shifts").uniform(-6, 6, VIEWS), 1)
    bad = np.stack(
        [
            shift(view, (0, by), order=3, mode="nearest")
            for view, by in zip(known.noisy.swapaxes(0, 1), away, strict=True)
        ]
    )
    with NamedTemporaryFile("w") as right, NamedTemporaryFile("w") as mirrored:
        for file, sign in ((right, 1), (mirrored, -1)):
            file.write("".join(f"{sign * by}\n" for by in away))
            file.flush()
        lines.add(
            "views that moved",
            f"shift(table='{right.name}')",
            lambda: known.stack(bad.swapaxes(0, 1)),
            most=1.1,
            clean=False,
            wrong=f"shift(table='{mirrored.name}')",
        )


def half_turns(judge: Judge, side: int) -> None:
    """A full turn with the axis near an end, as half a turn: against the truth and against the whole scan."""
    columns = side * 5 // 8
    known = Known.made(side, f"parallel(views={2 * VIEWS}, arc=360, columns={columns}, centre={columns // 8 + 0.3})")
    truth = known.volume(known.stack(known.clean))
    whole = error(known, known.stack(known.noisy), truth)
    half, pace = done(known.stack(known.noisy), "halfturn")
    geometry = half.header.geometry
    found = apart(known.volume(Stack(half.header.replace(geometry=geometry.replace(size=side)), half.slabs)), truth)
    judge("halfturn", found, 1.3 * whole)
    theirs, took = "", ""
    centre = known.header.geometry.centre
    if joined is not None:
        values, milliseconds = by_rows(lambda row: joined.convert_sinogram_360_to_180(row, centre)[0], known.noisy)
        took = f"{milliseconds:.1f}"
        theirs = f"{values.shape[2]} columns"
    print(f"| half the detector | `halfturn` | {whole:.4f} | | {found:.4f} | {pace:.1f} | | {theirs} | {took} |")


def overlaps(judge: Judge, side: int) -> None:
    """The axis near an end of the detector that nobody says: how far off it is found, in columns, beside algotom's.

    Bone is scanned over a full turn by detectors that see a share of their columns from both sides; of every share four
    bones, on both sides of the detector, with few and many photons. The control is the middle.
    """
    print(
        "\n| seen from both sides | photons | worst of 4 [column] | told to be off by [SD] | algotom's median, worst |"
    )
    print("|---|---|---|---|---|")
    for share in (0.12, 0.2, 0.4, 0.8):
        for photons in (150, 5000):
            off, sds, peers, control = [], [], [], []
            for seed in range(4):
                columns = int(side * 0.52 / (1 - share / 2))
                centre = share * columns / 2 - 0.5 + generator(seed, "overlap").uniform(-0.5, 0.5)
                centre = columns - 1 - centre if seed % 2 else centre
                bone = bonectl.phantom("trabecular", shape=(ROWS, side, side), voxel_size=0.02, seed=seed)
                geometry = f"parallel(views={VIEWS}, arc=360, columns={columns}, centre={centre})"
                asked = {"geometry": geometry, "energy": ENERGY, "photons": float(photons), "seed": seed}
                scan = bonectl.simulate(bone, **asked, unit="line integral")
                rows = scan.collect()
                found = axis_for(Stack.of(rows, scan.header), parts("halfturn"), scan.header.geometry)
                off.append(abs(found.column - centre))
                sds.append(found.sd)
                control.append(abs((columns - 1) / 2 - centre))
                if centring is not None:
                    there = centring.find_center_360(rows[2], max(10, int(share * columns)), norm=True)[0]
                    peers.append(abs(float(there) - centre))
            judge(f"axis of {share:.0%} overlap, {photons} photons", max(off), 0.25)
            if share < 0.5:
                judge.refuse("axis in the middle", min(control), 0.25)
            theirs = f"{np.median(peers):.2f}, {max(peers):.2f}" if peers else ""
            print(f"| {share:.0%} | {photons} | {max(off):.3f} | {max(sds):.3f} | {theirs} |", flush=True)


if __name__ == "__main__":
    main()
