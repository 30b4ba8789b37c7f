"""What one run is: keys, typed record, exact codec, schema version."""

from predictor.schema import keys
from predictor.schema.codec import Encoded, decode, encode, hp_values
from predictor.schema.record import HpValue, RunRecord

__all__ = ["Encoded", "HpValue", "RunRecord", "decode", "encode", "hp_values", "keys"]
