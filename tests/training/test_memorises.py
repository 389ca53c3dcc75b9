"""Every network can be trained: a single batch is learned by heart."""

import pytest
import torch

from bonectl.core import kit
from bonectl.core.header import Header
from bonectl.core.spec import parse
from bonectl.learning.checkpoint import Normalisation
from bonectl.training.learner import Learner, Task
from bonectl.training.objective import Objective
from bonectl.training.patches import PatchBatch
from bonectl.training.recipe import Recipe

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

NETWORKS = [name for name in kit.names("models") if kit.fact("models", name, "LEARNS") == "volumes"]
# Narrower than their defaults, which take a minute here.
NARROW = {"redcnn": "redcnn(width=16)", "drunet": "drunet(width=8, scales=2, blocks=1)", "nafnet": "nafnet(width=8)"}
SIDE, STEPS = 16, 300


@pytest.mark.parametrize("name", NETWORKS)
def test_a_single_batch_is_learned_by_heart(name):
    text = NARROW.get(name, name)
    recipe = Recipe(model=text, loss="l2", steps=STEPS, batch=1, run=1, patch=SIDE)
    spec = kit.in_full("models", parse(text))
    header = Header(shape=(8, SIDE, SIDE), dtype="<f4", unit="mgHA/cm3", spacing=(0.05,) * 3)
    task = Task(
        recipe=recipe,
        model=spec,
        pairs=parse("supervised"),
        normalisation=Normalisation("mgHA/cm3", 0.0, 1200.0),
        headers=(header,),
        stacks=("a.npy", "b.npy"),
        digests=("", ""),
    )
    learner = Learner(task, Objective(recipe.loss, recipe.steps))
    context, random = learner.network.reach.slices, torch.Generator().manual_seed(1)
    places = torch.arange(SIDE)
    clean = ((places // 5 % 2)[:, None] * (places // 4 % 2)).float()[None, None]
    given = clean + 0.5 * torch.randn(1, 1 + 2 * context, SIDE, SIDE, generator=random)
    batch = PatchBatch(given, clean)
    first = learner.advance(batch).score.loss
    for _ in range(STEPS - 1):
        last = learner.advance(batch).score.loss
    assert last < 1e-3 * first
