"""One thin file for each verb of `mlflow run . -e VERB`."""
