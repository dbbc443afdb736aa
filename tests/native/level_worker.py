"""Run by ``test_levels.py``, a process a level: compare all kernels, say which level it was."""

from __future__ import annotations

import numpy as np
from tests.native.sketch import check, every_kind, random_batch

from bitwright.native import level


def main() -> None:
    for program in every_kind().values():
        for images in (1, 4):
            check(program, random_batch(program, images, np.random.default_rng(images)))
    print(level())  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
