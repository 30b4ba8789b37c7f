"""The stories, one for each verb."""

import predictor.tasks  # noqa: F401 - wherever a story runs, the targets that the tasks declare are known
