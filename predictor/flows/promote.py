"""The story of a promotion: a version moves to a stage, its alias with it, what was there is archived."""

from __future__ import annotations

from dataclasses import dataclass

from predictor.config import check, param
from predictor.schema import keys


@dataclass(frozen=True)
class PromoteConfig:
    """Which version goes where."""

    version: int = param(0, "number of the version; 0 takes the newest", least=0)
    stage: str = param(keys.STAGE_PRODUCTION, "Staging, Production, Archived or None", choices=keys.STAGES)
    model_name: str = param(keys.MODEL_NAME, "name of the registered model")
    force: bool = param(False, "promote although the version does not beat the baselines; recorded in its tags")


@dataclass(frozen=True)
class PromoteResult:
    """`objections` are those of the gate that were overridden by force."""

    version: int
    stage: str
    objections: tuple[str, ...]


def promote_version(config: PromoteConfig, *, tracking_uri: str | None = None) -> PromoteResult:
    """Promote a version.

    Raises:
        RegistryError: no such model or version, or the gate refuses and `force` is not set.
    """
    from predictor import registry, tracking

    check(config)
    tracking.connect(tracking_uri)
    version = config.version or int(registry.versions(config.model_name)[-1].version)
    objections = registry.promote(version, config.stage, name=config.model_name, force=config.force)
    return PromoteResult(version, config.stage, tuple(objections))
