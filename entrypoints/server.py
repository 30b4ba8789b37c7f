"""A tracking server for many machines' worth of runs: PostgreSQL and MLflow over one folder, until Ctrl-C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrypoints import _cli
from predictor.flows.server import ServerConfig
from predictor.progress import Progress

if TYPE_CHECKING:
    from predictor.server import Addresses

CONFIG = ServerConfig


def run(config: ServerConfig, progress: Progress) -> None:
    from predictor.flows.server import server

    def on_ready(found: Addresses) -> None:
        print(f"tracking server: {found.uri}")
        print(f"  use it:  export MLFLOW_TRACKING_URI={found.uri}")
        if found.certificate:
            print(f"           export MLFLOW_TRACKING_SERVER_CERT_PATH={found.certificate}")
        if config.auth:
            print("           export MLFLOW_TRACKING_USERNAME=… MLFLOW_TRACKING_PASSWORD=…")
        print(f'  or, to read faster on this machine:  export MLFLOW_TRACKING_URI="$(cat {found.database})"')
        print(f"  Ctrl-C ends it; started again it goes on with what is in {found.database.parent}", flush=True)

    server(config, on_ready)
    print("the tracking server has ended")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
