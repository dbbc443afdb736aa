"""Settings that pydantic validated, explained in Bitwright's own errors.

The reader of the message wrote a TOML file or a call: it names the key as they wrote it, says
what is wrong with the value, and for an unknown key proposes the nearest that is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from pydantic import ValidationError

from bitwright.errors import ConfigError

_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")


def explain(
    error: ValidationError,
    where: str,
    known: Callable[[tuple[int | str, ...]], Sequence[str]],
) -> ConfigError:
    """Turn pydantic's error into one line.

    Parameters
    ----------
    error
        What pydantic found; its first complaint is told, and how many more there are.
    where
        What holds the settings, such as ``recipe.toml``.
    known
        Gives the keys that are allowed in the table at a path, to propose one.
    """
    first = error.errors(include_url=False)[0]
    path = first["loc"]
    key = ".".join(str(part) for part in path)
    more = error.error_count() - 1
    rest = f" ({more} more after this)" if more else ""
    if first["type"] in _UNKNOWN:
        keys = sorted(known(path[:-1]))
        near = difflib.get_close_matches(str(path[-1]), keys, n=1, cutoff=0.5)
        guess = f"did you mean '{near[0]}'? " if near else ""
        return ConfigError(
            f"{where}: unknown key '{key}'", f"{guess}known: {', '.join(keys)}{rest}"
        )
    if first["type"] in ("missing", "missing_argument"):
        return ConfigError(f"{where}: key '{key}' is missing", f"add it{rest}")
    said = first["msg"]
    return ConfigError(
        f"{where}: {key or 'the settings'} = {first['input']!r} is not possible",
        f"{said[:1].lower()}{said[1:]}{rest}",
    )
