"""The links at the top of every page, by role."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import User


@pytest.mark.django_db
@pytest.mark.parametrize(("role", "may"), [("annotator", False), ("member", True), ("admin", True)])
def test_who_may_chat_finds_it_at_the_top_of_every_page(client: Client, role: str, may: bool) -> None:
    client.force_login(User.objects.create_user(role, role=role), backend="django.contrib.auth.backends.ModelBackend")
    page = client.get(reverse("annotations:item-list")).content.decode()
    nav = page.partition('<nav class="sidenav"')[2].partition("</nav>")[0]
    assert (f'href="{reverse("chat:chat")}"' in nav) == may
