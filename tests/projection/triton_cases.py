"""How far Triton's kernels are from torch's operators, in Triton's interpreter: a script, prints JSON.

The interpreter is chosen when triton is first imported (TRITON_INTERPRET=1), so that it needs a process of its own.
"""

import json
import sys

import torch

from bonectl.geometries.cone import cone
from bonectl.geometries.fan import fan
from bonectl.geometries.parallel import parallel
from bonectl.projection import divergent, fsp, joseph
from bonectl.projection.torch import cone as torch_cone
from bonectl.projection.torch import fsp as torch_fsp
from bonectl.projection.torch import joseph as torch_joseph
from bonectl.projection.triton import cone as triton_cone
from bonectl.projection.triton import fsp as triton_fsp
from bonectl.projection.triton import joseph as triton_joseph

VOXEL = 0.02  # mm
AWAY = {"sod": 1.0, "sdd": 1.6}
FANS = {
    "fan": fan(6, 3, VOXEL, **AWAY, views=5, start=3.0, columns=9, centre=3.4),
    "slanted fan": fan(6, 3, VOXEL, **AWAY, views=3, start=3.0, columns=9, centre=3.4, slant=20.0),
    "fan, fine pixels": fan(4, 3, VOXEL, **AWAY, views=3, columns=25, pitch=0.008),
}
CONES = {
    "cone": cone(5, 4, VOXEL, **AWAY, views=4, start=3.0, columns=8, centre=3.4, rows=6),
    "cone, fine rows": cone(4, 3, VOXEL, **AWAY, views=3, columns=6, rows=19).replace(row_pitch=0.007),
}


def relative(a, b):
    return float(torch.linalg.vector_norm(a.double() - b.double()) / torch.linalg.vector_norm(b.double()))


def mismatch(x, y, forward, backward):
    difference = (forward.double() * y).sum() - (x * backward.double()).sum()
    return float(difference.abs() / torch.linalg.vector_norm(forward) / torch.linalg.vector_norm(y))


def compare(kind, ours, reference, x, y):
    """Relative L2 of both directions against the reference, and the mismatch of the adjoint."""
    forward, backward = ours[0](x), ours[1](y)
    return {
        f"{kind}: forward": relative(forward, reference[0](x)),
        f"{kind}: transpose": relative(backward, reference[1](y)),
        f"{kind}: adjoint": mismatch(x, y, forward, backward),
    }


def in_plane(kind, g, rays):
    x, y = torch.randn(g.rows, g.size, g.size), torch.randn(g.rows, g.views, g.columns)
    ours = [lambda v, f=f: f(rays, v) for f in (triton_joseph.project, triton_joseph.backproject)]
    reference = [lambda v, f=f: f(rays, v) for f in (torch_joseph.project, torch_joseph.backproject)]
    return compare(kind, ours, reference, x, y)


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    found = {}
    g = parallel(6, 3, VOXEL, views=5, columns=9, centre=3.4)
    found |= in_plane("parallel", g, torch_joseph.parallel_rays(joseph.tables(joseph.Beam.of(g))))
    for kind, g in FANS.items():
        found |= in_plane(kind, g, torch_joseph.fan_rays(divergent.tables_of(g)))
    for kind, g in CONES.items():
        p = divergent.tables_of(g)
        ours = [lambda v, f=f, p=p: f(p, v) for f in (triton_cone.project, triton_cone.backproject)]
        reference = [lambda v, f=f, p=p: f(p, v) for f in (torch_cone.project, torch_cone.backproject)]
        found |= compare(kind, ours, reference, torch.randn(g.volume_shape), torch.randn(g.shape))
    g = parallel(4, 3, VOXEL, views=3, columns=6, centre=2.4)
    p = fsp.tables(joseph.Beam.of(g), "strip")
    ours = [lambda v, f=f: f(p, v) for f in (triton_fsp.project, triton_fsp.backproject)]
    reference = [lambda v, f=f: f(p, v) for f in (torch_fsp.project, torch_fsp.backproject)]
    found |= compare("gridding", ours, reference, torch.randn(3, 4, 4), torch.randn(3, 3, 6))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
