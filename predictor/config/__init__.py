"""Typed configuration: what each entry point accepts, with type, unit, rule and default in one place."""

from typing import Final

from predictor.config.fields import Parameter, coerce, known_parameter, own_parameters, param, split_list
from predictor.config.files import (
    CONFIG,
    CONFIG_PARAMETER,
    flatten,
    from_strings,
    read_config,
    read_mapping,
    write_config,
)
from predictor.config.hashing import canonical_hash
from predictor.config.names import Expression, family_in, held_share, parse_name, shortened, split_names
from predictor.config.sections import (
    Chosen,
    NoSettings,
    Sectioned,
    all_parameters,
    check,
    choice,
    from_given,
    from_values,
    nested,
    owned_parameters,
    parameters_of,
    section,
)

LAB: Final = "lab"
"""The embedded world: the name of its base model, and the prefix of its datasets."""
TIERS: Final = ("static", "embed", "forward", "train")
"""Price tiers of the probe, cheapest first."""

__all__ = [
    "CONFIG",
    "CONFIG_PARAMETER",
    "LAB",
    "TIERS",
    "Chosen",
    "Expression",
    "NoSettings",
    "Parameter",
    "Sectioned",
    "all_parameters",
    "canonical_hash",
    "check",
    "choice",
    "coerce",
    "family_in",
    "flatten",
    "from_given",
    "from_strings",
    "from_values",
    "held_share",
    "known_parameter",
    "nested",
    "own_parameters",
    "owned_parameters",
    "param",
    "parameters_of",
    "parse_name",
    "read_config",
    "read_mapping",
    "section",
    "shortened",
    "split_list",
    "split_names",
    "write_config",
]
