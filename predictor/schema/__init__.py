"""What one run is: keys, typed record, exact codec, schema version."""

from predictor.schema import keys
from predictor.schema.codec import Encoded, decode, encode
from predictor.schema.inputs import DatasetUse
from predictor.schema.record import HpValue, RunRecord, run_title

__all__ = ["DatasetUse", "Encoded", "HpValue", "RunRecord", "decode", "encode", "keys", "run_title"]
