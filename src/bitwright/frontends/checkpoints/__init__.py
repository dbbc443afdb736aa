"""Checkpoints of well-known repositories, one file a repository.

A checkpoint is a state dict without its network: each adapter knows the network's layout, loads the
tensors (never unpickling anything else), and hands the module to `bitwright.frontends.torch_lower`.
"""
