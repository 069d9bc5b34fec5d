"""Sessions in the scripted world of `tests.session`."""

from tests.session.conftest import make_session as make_session
from tests.session.conftest import session as session
from tests.session.conftest import world as world
