"""Several processes that train one network, as Lightning's "ddp" starts them.

- The first process starts the others as copies of its own command line; each of them comes to
  the same `bitwright.nn.train` and takes its share. A script guards what only one of them should
  do, such as printing, with `leads`.
- Only the first process writes files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed

_VARIABLES = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def leads() -> bool:
    """Return whether this is the process that writes files: the only one, or the first."""
    return os.environ.get("LOCAL_RANK", "0") == os.environ.get("NODE_RANK", "0") == "0"


@contextmanager
def alone_again() -> Iterator[None]:
    """Leave the group of processes afterwards, so that another run can start its own."""
    before = {name: os.environ.get(name) for name in _VARIABLES}
    grouped = torch.distributed.is_available() and torch.distributed.is_initialized()
    try:
        yield
    finally:
        if not grouped and torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
