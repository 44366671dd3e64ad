"""Datasets and models that are really there, for the services, pages, API and commands of training."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from annotations.models import DatasetVersion
from annotations.services import dataset_from_rows

ROWS = [{"prompt": f"What is {n} and {n}?", "response": f"{2 * n}."} for n in range(1, 25)]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A state folder of the test's own."""
    monkeypatch.setattr(settings, "RLWHF_HOME", tmp_path)
    return tmp_path


@pytest.fixture
def sft_dataset(db, home) -> DatasetVersion:
    return dataset_from_rows(name="sums", kind="sft", rows={"train": ROWS[:20], "eval": ROWS[20:]}, source="test", actor=None)


@pytest.fixture
def signed_in(client: Client, django_user_model: type[User]) -> Callable[[str], Client]:
    """A client logged in as somebody with that role."""

    def signed_in(role: str) -> Client:
        user = django_user_model.objects.create_user(role, password="x", role=role)
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in
