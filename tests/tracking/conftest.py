"""The fixtures of all tests of tracking."""

from tests.support.tracking import conf_catalog, fresh_database, project, store  # noqa: F401
