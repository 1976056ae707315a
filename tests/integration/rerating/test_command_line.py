"""`rating rerating show`, `accept` and `reject` against running services."""

from __future__ import annotations

import json

from tests.integration.authorization.test_command_line import rating
from tests.integration.rerating.customer import HOUR, Customer, rates


async def test_a_re_rating_from_the_command_line(customer: Customer) -> None:
    await customer.use(customer.start, tokens=100)
    await customer.gateway.pass_time(HOUR)
    first = await customer.publish(rates(tokens="2"), customer.start)
    rejected = await rating(customer.gateway, "rerating", "reject", first.phase.name)
    phase = (await customer.publish(rates(tokens="1.5"), customer.start)).phase.name

    shown = await rating(customer.gateway, "rerating", "show", phase)
    told = json.loads((await rating(customer.gateway, "rerating", "show", phase, "--json")).stdout)
    stale = await rating(customer.gateway, "rerating", "accept", phase, "--token", "other")
    token = told["rerating"]["token"]
    accepted = await rating(customer.gateway, "rerating", "accept", phase, "--token", token)
    again = json.loads((await rating(customer.gateway, "rerating", "accept", phase, "--json")).stdout)

    assert rejected.stdout == f"{first.phase.name}: rejected\n"
    assert "1 of 1" in shown.stdout
    assert "0.00005 more and 0 less CREDIT" in shown.stdout
    assert token in shown.stdout
    assert told["cycles"][0]["difference_units"] == "50"
    assert "RERATING_CHANGED" in stale.stderr
    assert accepted.stdout.endswith(f"{phase}: in force for its time; 1 adjustments posted\n")
    assert again["adjustments"] == []
    assert [each.returncode for each in (rejected, shown, stale, accepted)] == [0, 0, 1, 0]
