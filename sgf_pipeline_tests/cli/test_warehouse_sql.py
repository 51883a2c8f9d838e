"""``sgf warehouse sql``: which versions it takes."""

import pytest
from typer.testing import CliRunner

from sgf_pipeline.cli.main import warehouse_app
from sgf_pipeline.domain.errors import InvalidRequestError
from sgf_pipeline.resources.supabase import schema_version


@pytest.mark.parametrize("version", ["9999", "a:b", "-1", ""])
def test_an_unknown_version_is_one_sentence(version):
    """Guards against Alembic's traceback, and against an empty version that is taken for none."""
    done = CliRunner().invoke(warehouse_app, [f"--since={version}"])
    assert isinstance(done.exception, InvalidRequestError)
    assert repr(version) in str(done.exception)
    assert schema_version() in str(done.exception)


def test_from_the_newest_version_on_there_is_nothing_to_do():
    """Guards against a check that refuses the versions that there are."""
    done = CliRunner().invoke(warehouse_app, ["--since", schema_version()])
    assert done.exit_code == 0, done.exception
    assert "CREATE TABLE" not in done.stdout
