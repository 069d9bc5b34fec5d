"""Count how often scoring encodes a frame, which trials should share."""

from c2g_jax.evaluation import trials


class Encodings:
    """Counts each call of `trials.encode_frame`; the patch stays for the process."""

    def __init__(self):
        self.count, self._real = 0, trials.encode_frame
        trials.encode_frame = self._encode

    def _encode(self, *given):
        self.count += 1
        return self._real(*given)
