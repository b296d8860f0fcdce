# SPDX-License-Identifier: Apache-2.0
"""Parameters as text, as the core takes them, and its table of them.

for parameter in evergrove.parameters():
    print(parameter.name, parameter.default, parameter.range)
"""

import numbers
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from evergrove import _core


class ParameterNote(UserWarning):
    """How a name or value of another library was understood, such as num_leaves."""


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    default: str
    range: str
    aliases: list[str]
    documentation: str


def parameters() -> list[Parameter]:
    """Returns what can be set, from the core's own table."""
    return [Parameter(*row) for row in _core.parameter_table()]


def settings_of(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns name and text of each parameter; None leaves the default."""
    settings = []
    for name, value in params.items():
        if value is not None:
            settings.append((name, setting_text(name, value)))
    return settings


def check_settings(settings: list[tuple[str, str]], stacklevel: int) -> None:
    """Raises for what cannot be set; warns of names of other libraries."""
    for note in _core.check_parameters(settings):
        warnings.warn(note, ParameterNote, stacklevel=stacklevel + 1)


def setting_text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, numbers.Integral):
        return str(int(value))
    if isinstance(value, numbers.Real):
        return repr(float(value))
    if isinstance(value, Iterable):
        return ",".join(setting_text(name, item) for item in value)
    raise TypeError(
        f"Parameter {name} must be a number, a text or a list of texts, "
        f"not {type(value).__name__}; change its value"
    )
