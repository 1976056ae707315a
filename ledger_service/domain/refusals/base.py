"""What all refusals share."""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """Base of all refusals."""

    reason: ClassVar[str]

    def __init__(self, description: str, *, field: str = "", **metadata: str | int) -> None:
        """Refuse with one sentence that names the cause."""
        super().__init__(description)
        self.description = description
        self.field = field
        self.metadata = {key: str(value) for key, value in metadata.items()}
