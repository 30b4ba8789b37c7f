"""Finding a version of a registered predictor, and moving it to a stage."""

from __future__ import annotations

import itertools
import math
import warnings

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion

from predictor.catalog import did_you_mean
from predictor.errors import RegistryError
from predictor.registry.faults import registry_faults
from predictor.registry.package import NAME
from predictor.schema import keys


def versions(name: str = NAME) -> list[ModelVersion]:
    """All versions of a registered model, oldest first.

    Raises:
        RegistryError: there is no model of this name (with the names there are).
    """
    client = MlflowClient()
    with registry_faults(f"reading the versions of '{name}'"):
        found: list[ModelVersion] = []
        token: str | None = None
        while True:
            page = client.search_model_versions(f"name='{name}'", max_results=1000, page_token=token)
            found += page
            token = page.token
            if not token:
                break
        if not found:
            known = [model.name for model in client.search_registered_models(max_results=100)]
            raise RegistryError(
                f"no version of a model '{name}' is registered",
                where=str(client.tracking_uri),
                rule=f"registered models: {', '.join(known) or 'none'}",
                fix=did_you_mean(name, known) if known else "train one first: mlflow run . -e meta",
            )
    return sorted(found, key=lambda version: int(version.version))


def find(name: str = NAME, *, stage: str | None = None, version: int | None = None) -> ModelVersion:
    """The version with a number, or the newest one in a stage.

    Raises:
        RegistryError: no such version, stage, or version in the stage; says what exists.
    """
    known = versions(name)
    newest = int(known[-1].version)
    if version is not None:
        chosen = [each for each in known if int(each.version) == version]
        missing, fix = f"version {version} of '{name}' does not exist", f"use version {newest}"
    else:
        stage = canonical_stage(stage or keys.STAGE_PRODUCTION)
        chosen = [each for each in known if each.current_stage == stage]
        missing, fix = f"no version of '{name}' is in stage {stage}", promotion(name, newest, stage)
    if not chosen:
        listing = ", ".join(f"{each.version} ({each.current_stage})" for each in known)
        raise RegistryError(missing, where=str(MlflowClient().tracking_uri), rule=f"versions: {listing}", fix=fix)
    return chosen[-1]


def promotion(name: str, version: int, stage: str = keys.STAGE_PRODUCTION) -> str:
    """The command that brings a version into a stage."""
    named = "" if name == keys.MODEL_NAME else f" -P model_name={name}"
    return f"mlflow run . -e promote -P version={version} -P stage={stage}{named}"


def canonical_stage(stage: str) -> str:
    """The stage under MLflow's spelling; raises RegistryError for an unknown one."""
    by_name = {each.lower(): each for each in keys.STAGES}
    if stage.lower() not in by_name:
        raise RegistryError(
            f"unknown stage '{stage}'",
            where="-P stage",
            rule=f"one of: {', '.join(keys.STAGES)}",
            fix=did_you_mean(stage, keys.STAGES),
        )
    return by_name[stage.lower()]


def gate(version: ModelVersion) -> list[str]:
    """Why a version should not be promoted; empty when it may.

    It must beat the best baseline in the grouped split, and in the family split where there is one. In the harder of
    the two its 90 % intervals must hold about 90 % of the rows of groups (or families) that they were not calibrated
    on: within 3 % plus two standard errors of a share over that many groups.
    """
    tags = version.tags
    headline = tags.get(keys.TAG_HEADLINE, "group")
    splits = {"group": ("grouped RMSE", "groups", keys.TAG_GROUPS)}
    if headline == "family" or _rmse("family") in tags:
        splits["family"] = ("RMSE on families not seen", "families", keys.TAG_FAMILIES)
    errors = [(_rmse(split), f"{keys.BASELINE}{split}/rmse") for split in splits]
    held, coverage, number = splits[headline][1], f"{keys.VALIDATION}{headline}/coverage", splits[headline][2]
    missing = [name for name in (*itertools.chain(*errors), coverage, number) if name not in tags]
    if missing:
        return [f"it was registered without {', '.join(missing)}"]
    faults = []
    for split, (said, _, _) in splits.items():
        rmse, baseline = float(tags[_rmse(split)]), float(tags[f"{keys.BASELINE}{split}/rmse"])
        if not rmse < baseline:
            best = tags.get(f"{keys.BASELINE}{split}/name", "a baseline")
            faults.append(f"its {said} {rmse:.4g} does not beat {best} with {baseline:.4g}")
    covered, allowed = float(tags[coverage]), 0.03 + 2.0 * math.sqrt(0.9 * 0.1 / float(tags[number]))
    if not abs(covered - 0.9) <= allowed:
        faults.append(
            f"its 90 % intervals hold {100 * covered:.0f} % of the rows of new {held} (allowed: ±{100 * allowed:.0f} %)"
        )
    return faults


def _rmse(split: str) -> str:
    return f"{keys.VALIDATION}{split}/rmse"


def promote(version: int, stage: str = keys.STAGE_PRODUCTION, *, name: str = NAME, force: bool = False) -> list[str]:
    """Move a version to a stage and its alias (the stage in lower case) with it, archiving what was there.

    Args:
        force: promote a version that the gate refuses; the refusal is kept in the version's tags.

    Returns:
        The gate's objections that were overridden; empty when it had none.

    Raises:
        RegistryError: no such version or stage, or the gate refuses.
    """
    stage = canonical_stage(stage)
    found = find(name, version=version)
    active = stage in keys.ACTIVE_STAGES
    objections = gate(found) if active else []
    if objections and not force:
        where = f"-P version={version} -P stage={stage}"
        raise RegistryError(
            f"version {version} of '{name}' is not promoted: {'; '.join(objections)}",
            where=where,
            rule="beat the best baseline on groups and families not seen, with intervals that hold what they promise",
            fix="train on more runs or more different datasets; or promote it all the same, recorded: -P force=true",
        )
    client = MlflowClient()
    with registry_faults(f"promoting version {version} of '{name}'"):
        if active:
            client.set_model_version_tag(name, str(version), keys.TAG_GATE, "; ".join(objections) or "passed")
            client.set_model_version_tag(name, str(version), keys.TAG_FORCED, str(bool(objections)).lower())
        with warnings.catch_warnings():
            # MLflow calls stages deprecated at every use; the alias of the same meaning is set beside each.
            warnings.simplefilter("ignore", FutureWarning)
            client.transition_model_version_stage(name, str(version), stage)
            # One by one: MLflow's own archiving compares numbers with text, which PostgreSQL refuses from psycopg 3.
            for other in versions(name) if active else []:
                if other.current_stage == stage and int(other.version) != version:
                    client.transition_model_version_stage(name, str(other.version), "Archived")
        for alias in client.get_model_version(name, str(version)).aliases:
            if alias in {each.lower() for each in keys.ACTIVE_STAGES}:
                client.delete_registered_model_alias(name, alias)
        if active:
            client.set_registered_model_alias(name, stage.lower(), str(version))
    return objections
