"""The interactive session; `c2g_jax.open` and `c2g_jax.open_session` lead here."""

from c2g_jax.session.opening import open_session, open_video
from c2g_jax.session.session import Session

__all__ = ["Session", "open_session", "open_video"]
