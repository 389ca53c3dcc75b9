"""What many tests are about: stacks, scans, bones and trained networks, made in one place."""

from bonectl.training.request import Request


def train_on(inputs, targets, recipe, saving, *, stop=lambda: False, **settings):
    """How a training run ended: `bonectl.ops.train.train` of lists of paths."""
    from bonectl.ops.train import train

    asked = Request(inputs=tuple(inputs), targets=tuple(targets), recipe=recipe, saving=saving, **settings)
    return train(asked, stop=stop)
