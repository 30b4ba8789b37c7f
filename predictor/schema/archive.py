"""Run records as one compact Parquet file, exact to the bit, with what made them in its metadata."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from predictor.errors import SchemaError
from predictor.schema import keys
from predictor.schema.codec import SIZES
from predictor.schema.record import RunRecord

_ABOUT = b"finetune-predictor"
_GROUPS = {"hp": keys.HP, "probe": keys.PROBE, "scores": keys.SCORE, "costs": keys.COST}
_PLAIN = [field.name for field in dataclasses.fields(RunRecord) if field.name not in (*_GROUPS, "row_sketch")]
_CONFIG = "config"


@dataclass(frozen=True)
class Archive:
    """Records read from a file.

    Attributes:
        configs: for each record the full configuration, from which it can be run again; empty if unknown.
        about: schema version, date, base-model digest, code revision and whatever else the writer told.
    """

    records: tuple[RunRecord, ...]
    configs: tuple[Mapping[str, Any], ...]
    about: Mapping[str, str]


def write_archive(
    path: Path, records: Sequence[RunRecord], configs: Sequence[Mapping[str, Any]], about: Mapping[str, str]
) -> None:
    """Write the records; `predictor.schema_version` is added to `about`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for record, config in zip(records, configs, strict=True):
        row = {name: getattr(record, name) for name in _PLAIN}
        row["row_sketch"] = "".join(record.row_sketch)
        row[_CONFIG] = json.dumps(dict(config), sort_keys=True)
        for field, prefix in _GROUPS.items():
            row |= {prefix + name: value for name, value in getattr(record, field).items()}
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([row.get(name) for row in rows], from_pandas=False) for name in names}
    told = {**about, keys.TAG_SCHEMA: str(keys.SCHEMA_VERSION)}
    table = pa.table(columns).replace_schema_metadata({_ABOUT: json.dumps(told, sort_keys=True)})
    pq.write_table(table, path, compression="zstd", use_dictionary=True)


def read_archive(path: Path) -> Archive:
    """The records of a file that :func:`write_archive` made.

    Sizes (limits and probe steps) of runs that were written without them are those of their configurations.

    Raises:
        SchemaError: the file is no such file, or of another schema version.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[_ABOUT])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise SchemaError(
            f"the file is no archive of runs ({type(error).__name__}: {error})",
            where=str(path),
            rule="a .parquet file that this project wrote",
        ) from error
    if about.get(keys.TAG_SCHEMA) != str(keys.SCHEMA_VERSION):
        raise SchemaError(
            f"the runs were written with schema version {about.get(keys.TAG_SCHEMA)}",
            where=str(path),
            rule=f"this package reads schema version {keys.SCHEMA_VERSION}",
            fix="upgrade the package",
        )
    records, configs = [], []
    for row in table.to_pylist():
        sketch = row.pop("row_sketch")
        configs.append(json.loads(row.pop(_CONFIG)))
        grouped: dict[str, Any] = {
            field: {
                name.removeprefix(prefix): value
                for name, value in row.items()
                if name.startswith(prefix) and value is not None
            }
            for field, prefix in _GROUPS.items()
        }
        plain = {name: row[name] for name in _PLAIN if name in row}
        plain |= _sizes(plain, configs[-1])
        pieces = tuple(sketch[start : start + 10] for start in range(0, len(sketch), 10))
        records.append(RunRecord(row_sketch=pieces, **plain, **grouped))
    return Archive(tuple(records), tuple(configs), about)


def _sizes(plain: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a run was written without and that its configuration, flat or in sections, has."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    return {name: flat[name] for name in SIZES if plain.get(name) is None and isinstance(flat.get(name), int)}
