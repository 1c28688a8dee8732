"""Rights granted by the chart, held against an audit log that is made up."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hack.permissions import DASHBOARD, OPERATOR, TRIALS, Right, compare, granted, summary

GET = Right(OPERATOR, "hyperband.dev", "hyperbandstudies", "", "get")
STATUS = Right(OPERATOR, "hyperband.dev", "hyperbandstudies/status", "", "update")
LEASE = Right(OPERATOR, "coordination.k8s.io", "leases", "hyperband-operator", "patch")
REPORT = Right(TRIALS, "", "pods", "", "patch")
RIGHTS = {GET, STATUS, LEASE, REPORT}
MINUTE = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)


def event(right: Right, *, name: str = "x", allowed: bool = True, **changes: Any) -> str:
    """A line of the log: somebody has asked for what the right is about."""
    resource, _, sub = right.resource.partition("/")
    target = {"apiGroup": right.group, "resource": resource, "name": name, "subresource": sub}
    account = "team:hyperband-reporter" if right.owner == TRIALS else "ops:my-hyperband-operator"
    body = {
        "auditID": str(changes),
        "user": {"username": f"system:serviceaccount:{account}"},
        "verb": right.verb,
        "objectRef": {key: value for key, value in target.items() if value},
        "stageTimestamp": "2026-01-01T12:00:00.000000Z",
        "annotations": {"authorization.k8s.io/decision": "allow" if allowed else "forbid"},
    }
    return json.dumps(body | changes)


def test_each_right_counts_its_own_requests() -> None:
    lease = {**json.loads(event(LEASE))["objectRef"], "name": "hyperband-operator"}
    lines = [
        event(GET, auditID="1"),
        event(GET, auditID="1"),  # the end of the same request
        event(GET, auditID="2"),
        event(STATUS, auditID="3"),
        event(LEASE, auditID="4", objectRef=lease),
        event(REPORT, auditID="5"),
    ]
    assert compare(RIGHTS, lines).used == {GET: 2, STATUS: 1, LEASE: 1, REPORT: 1}
    assert summary(compare(RIGHTS, lines)) == "4 verbs granted, 4 of them used"


def test_what_is_granted_and_never_used_is_named() -> None:
    found = compare(RIGHTS, [event(GET), event(LEASE, name="another", auditID="2")])
    assert found.unused == sorted([REPORT, LEASE, STATUS])
    assert "granted and never used: patch pods (trials)" in summary(found)


def test_what_is_tried_without_being_granted_is_named() -> None:
    secrets = Right(OPERATOR, "", "secrets", "x", "list")
    found = compare(RIGHTS, [event(secrets, allowed=False)])
    assert found.refused == {secrets: 1}
    assert "tried 1 times and not granted: list secrets x (operator)" in summary(found)


def test_refusals_that_say_nothing_of_the_roles() -> None:
    """Before an API server has read them; attacks with a trial's token; other people."""
    secrets = Right(TRIALS, "", "secrets", "", "list")
    person = {"username": "kubernetes-admin"}
    lines = [
        event(GET, allowed=False),
        event(secrets, allowed=False, auditID="2"),
        event(GET, user=person, auditID="3"),
        event(GET, user={}, auditID="4", annotations={}),  # an expired token's
    ]
    found = compare(RIGHTS, lines)
    assert not found.refused
    assert found.unused == sorted(RIGHTS)


def test_the_page_has_rights_of_its_own() -> None:
    """What the operator may do is nothing that the page may."""
    page = {"username": "system:serviceaccount:ops:my-hyperband-operator-dashboard"}
    found = compare(RIGHTS, [event(GET, user=page, allowed=False)])
    assert found.refused == {replace(GET, owner=DASHBOARD, name="x"): 1}
    assert GET in found.unused


def test_what_came_before_does_not_count() -> None:
    late = event(GET, auditID="2", stageTimestamp="2026-01-01T12:02:00.000000Z")
    assert compare(RIGHTS, [event(GET), late], MINUTE).used[GET] == 1


def test_what_the_chart_grants() -> None:
    rights = granted()
    assert REPORT in rights
    assert LEASE in rights
    names = {right.name for right in rights if right.resource == "leases"}
    assert names == {"", "hyperband-operator", "hyperband-namespace-operator"}
    assert not any(right.verb == "*" for right in rights)
    assert {right.verb for right in rights if right.owner == DASHBOARD} == {
        "create",  # reviews
        "get",
        "list",
        "watch",
    }
    people = Right(OPERATOR, "hyperband.dev", "hyperbandstudies", "", "create")
    assert people not in rights, "studies are made by people"
