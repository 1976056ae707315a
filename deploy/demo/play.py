"""The story of the demo, from the first price to the last check."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

from deploy.demo import reckoning
from deploy.demo.accounts import cycles, open_accounts, run_billing, sell_packs
from deploy.demo.books import projections
from deploy.demo.customers import Customer, all_customers
from deploy.demo.inspection import Played, inspect
from deploy.demo.invoices import Invoice, await_records, issue_invoices
from deploy.demo.offer import CARD, CUT, Published, publish_phase, publish_plans
from deploy.demo.replay import Milestone, Replay
from deploy.demo.report import Report
from deploy.demo.scene import Source, World, clock_start
from deploy.demo.timeline import GRACE


def play(source: Source, world: World) -> Report:
    """Play the months and return what was found. Raises DemoFailed and grpc.RpcError."""
    customers = all_customers()
    before = prepare(source, world, customers)
    replay = Replay(world.services, world.clock, served=source.served)
    replay.min_position = before.position
    after = use(source, world, replay)
    lag_events = max(each.lag_events for each in projections(world.services))
    invoices = issue_all(source, world, customers)
    priced = reckoning.reckon(
        replay.outcome.recorded,
        before=before.price_list,
        after=after.price_list,
        cut_time=source.timeline.cut_time,
    )
    phases = reckoning.phase_figures(priced, replay.outcome, [before.price_list.name, after.price_list.name])
    prices = (before.price_list, after.price_list)
    return inspect(source, world, Played(customers, replay, priced, phases, invoices, lag_events, *prices))


def prepare(source: Source, world: World, customers: Sequence[Customer]) -> Published:
    """Publish prices and plans, then open the accounts at the first instant of the month."""
    with world.stages.stage("prices, plans, wallets and contracts", total=3) as advance:
        card = publish_phase(CARD, clock_start(source), directory=world.directory, ledger=world.ledger)
        advance(1)
        publish_plans(ledger=world.ledger)
        advance(1)
        world.clock.advance(source.timeline.start)
        position = open_accounts(world.services, customers, source.timeline)
    return Published(card.price_list, position)


def use(source: Source, world: World, replay: Replay) -> Published:
    """Replay the usages with all that happens meanwhile; return the price cut."""
    timeline, services = source.timeline, world.services
    cut: list[Published] = []

    def announce_cut() -> None:
        cut.append(publish_phase(CUT, timeline.cut_time, directory=world.directory, ledger=world.ledger))
        replay.min_position = cut[0].position

    milestones = [
        Milestone(source.usages[-1].time + timedelta(microseconds=1), replay.send_again),
        *(
            # By itself it would come about a second late, and the demo's clock stands still meanwhile.
            Milestone(start, partial(run_billing, services))
            for start in timeline.cycle_starts
        ),
        Milestone(timeline.packs_time, partial(sell_packs, services, timeline)),
        Milestone(timeline.announce_time, announce_cut),
        Milestone(timeline.cut_time),
        Milestone(timeline.promotion_expire_time),
        Milestone(timeline.pack_expire_time),
    ]
    with world.stages.stage("usage replayed", total=len(source.usages)) as advance:
        replay.run(source.usages, milestones, on_progress=advance)
    return cut[0]


def issue_all(source: Source, world: World, customers: Sequence[Customer]) -> list[Invoice]:
    """Let the grace period pass, have every invoice issued, and read them."""
    count = len(customers) * len(cycles(source.timeline))
    with world.stages.stage("invoices issued", total=count) as advance:
        world.clock.advance(source.timeline.end + GRACE)
        run_billing(world.services)
        invoices = issue_invoices(world.services, customers, source.timeline, on_progress=advance)
        await_records(world.services, len(invoices))
    return invoices
