"""The back-projection of FDK by RTK (package itk-rtk), of the geometry that bench/projector.py gives to ours.

    python bench/rtk.py 128 180 ROUNDS

Prints one line of JSON. bench/projector.py runs it in a process of its own, right after our own rounds, so that ITK's
threads and ours do not meet.
"""

import importlib.metadata
import json
import sys
import time

import itk
import numpy as np

rtk = itk.RTK


def main() -> None:
    """Time it; the least of the rounds."""
    side, views, rounds = map(int, sys.argv[1:])
    image, detector = itk.Image[itk.F, 3], side * 5 // 4
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    for view in range(views):
        geometry.AddProjection(3.0 * side, 4.5 * side, view * 360 / views)
    # of ones, so that every voxel of the result is known in closed form
    scan = itk.image_from_array(np.ones((views, detector, detector), dtype=np.float32))
    scan.SetOrigin([-(detector - 1) / 2, -(detector - 1) / 2, 0.0])
    empty = rtk.ConstantImageSource[image].New()
    empty.SetSize([side] * 3)
    empty.SetOrigin([-(side - 1) / 2] * 3)
    empty.SetConstant(0.0)
    empty.Update()
    wall, cpu, volume = float("inf"), float("inf"), np.empty(0)
    for _ in range(rounds):
        back = rtk.FDKBackProjectionImageFilter[image, image].New()
        back.SetInput(0, empty.GetOutput())
        back.SetInput(1, scan)
        back.SetGeometry(geometry)
        back.SetInPlace(False)
        started = time.perf_counter(), time.process_time()
        back.Update()
        wall, cpu = min(wall, time.perf_counter() - started[0]), min(cpu, time.process_time() - started[1])
        volume = itk.array_from_image(back.GetOutput())
    middle, far = side // 2, side // 2 + 40
    share = [np.hypot(offset - (side - 1) / 2, 0.5) / (3.0 * side) for offset in (far, middle)]
    found = {
        "version": importlib.metadata.version("itk-rtk"),
        "wall": wall,
        "cpu": cpu,
        "at_40": float(volume[middle, middle, far]),
        "on_axis": float(volume[middle, middle, middle]),
        "right": float(((1 - share[1] ** 2) / (1 - share[0] ** 2)) ** 1.5),  # as `ones_off` of bench/projector.py
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
