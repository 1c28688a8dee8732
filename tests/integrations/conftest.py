"""Assertions of the shared module are shown with their values."""

import pytest

pytest.register_assert_rewrite("tests.integrations.goes_on")
