"""Price models: how a quantity becomes an amount. One module a model.

`PriceModel` is their sum; a rate has exactly one. A module owns its model's terms and its arithmetic.
"""

from rating_service.domain.agreement import Rate
from rating_service.domain.price_models.unit import UnitModel

PriceModel = UnitModel


def price_model_of(rate: Rate) -> PriceModel:
    """Return the price model that a recorded rate names."""
    return UnitModel(unit_price=rate.unit_price, unit_size=rate.unit_size)
