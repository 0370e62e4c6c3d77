"""Tell people what is wrong and what is right again: grouped, and in threads of its own."""

from dropload.notify.message import Place, compose_test
from dropload.notify.note import Note
from dropload.notify.post import Post
from dropload.notify.quiet_hours import zone_of
from dropload.notify.services import Service, open_services

__all__ = ["Note", "Place", "Post", "Service", "compose_test", "open_services", "zone_of"]
