"""Packages: whole ones are charged, the last one as soon as it is begun. A quantity of 0 begins none."""

from __future__ import annotations

from rating_service.domain.price_models.curve import Curve, Part, PartKind, Stretch


def parts_of(curve: Curve, stretch: Stretch) -> list[Part]:
    """Return the packages that a stretch begins. The price of one is the curve's only price."""
    size = curve.package_size
    packages = _begun(stretch.after, size) - _begun(stretch.before, size)
    if not packages:
        return []
    return [Part(PartKind.PACKAGES, packages * curve.of_one[0], 0, packages, curve.price_texts[0])]


def total_of(curve: Curve, quantity: int, *, begun: bool) -> int:  # noqa: ARG001, as the other models
    """Return F(quantity): what a cycle owes after it."""
    return _begun(quantity, curve.package_size) * curve.of_one[0]


def _begun(quantity: int, size: int) -> int:
    return -(-quantity // size)
