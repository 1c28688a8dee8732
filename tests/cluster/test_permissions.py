"""After all other tests on the cluster: what the chart grants was used, and nothing else tried.

Alone it judges by all that the API server's audit log still has.
"""

from datetime import datetime

import pytest

from hack.permissions import audit_log, compare, granted, summary

pytestmark = pytest.mark.cluster


def test_every_verb_granted_is_used_and_no_other_is_tried(tests_since: datetime | None) -> None:
    found = compare(granted(), audit_log(), tests_since)
    assert not found.unused, summary(found)
    assert not found.refused, summary(found)
