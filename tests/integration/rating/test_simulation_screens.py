"""`rating simulate` against a running service: tables, JSON, the report, and files that will not do."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

from tests.integration.rating.harness import CARD, CONTRACT, Service, usage
from tests.integration.rating.test_command_line import EXAMPLES, rating
from tests.integration.rating.test_invoices import record

SPAN = ("--from", "2026-01-01", "--to", "2026-02-01")
CARD_FILE = """
rate_card: dearer
display_name: "<script>alert(1)</script>"
asset: {code: CREDIT, scale: 6}
phases:
  - from_time: "2030-01-01T00:00:00Z"
    rates:
      - {dimension: input_tokens, unit_size: 1_000_000, unit_price: "3.5"}
"""
PLAN_FILE = """
plan: dear
asset: {code: CREDIT, scale: 6}
phases:
  - key: main
    rate_card: rateCards/dearer
    base_fee: {currency: USD, amount: "99"}
    shortfall_mode: SOFT
    overage_price: {currency: USD, price: "1"}
"""


class Checked(HTMLParser):
    """Reads a page and keeps which tags are open, which there were, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_candidates_from_files_are_shown_told_and_reported(service: Service, tmp_path: Path) -> None:
    card, plan, page = tmp_path / "<b>card.yaml", tmp_path / "plan.yaml", tmp_path / "report.html"
    card.write_text(CARD_FILE, encoding="utf-8")
    plan.write_text(PLAN_FILE, encoding="utf-8")
    await record(service, *[usage(f"u-{number}") for number in range(5)])
    await service.caught_up()
    files = ("--card", str(card), "--plan", str(plan))
    shown = await rating(service, "simulate", *SPAN, *files, "--contract", CONTRACT, "--html", str(page))
    told = await rating(service, "simulate", *SPAN, *files, "--json", "--threshold", "10")
    checked = Checked()
    checked.feed(page.read_text(encoding="utf-8"))
    tree = json.loads(told.stdout)

    assert (shown.returncode, told.returncode) == (0, 0), shown.stderr + told.stderr
    assert "5 usages of 1 contracts, charged 0.015 CREDIT" in shown.stdout
    assert "+16.67 %" in shown.stdout
    assert "best plan by contract" in shown.stdout
    assert tree["result"]["total"]["candidates"][0]["difference_units"] == "2500"
    assert [each["moved_count"] for each in tree["result"]["candidates"]] == ["1", "1"]
    assert [each["bill"]["nanos"] for each in tree["contracts"][0]["bills"]][1] == "99020000000"
    assert (checked.open, checked.tags & {"script", "b>card.yaml"}) == ([], set())
    assert str(card) in checked.text
    assert CONTRACT in checked.text


async def test_the_example_traffic_is_priced_and_a_wrong_file_is_refused_with_its_line(
    service: Service, tmp_path: Path
) -> None:
    text = (EXAMPLES / "traffic_model.yaml").read_text(encoding="utf-8")
    model, trace = tmp_path / "model.yaml", tmp_path / "requests.csv"
    model.write_text(
        text.replace("# trace:", "trace:").replace("customers: 50", "customers: 2"), encoding="utf-8"
    )
    rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n1,374,44\n2,396,109\n"
    trace.write_text(rows, encoding="utf-8")
    # The segment has its dimensions twice now: as quantiles and in the trace.
    span = ("--from", "2026-01-01", "--to", "2026-01-08", "--synthetic", str(model))
    twice = await rating(service, "simulate", *span, "--card", CARD)
    begin = model.read_text(encoding="utf-8")
    model.write_text(begin.replace("customers: 3", "customers: 0"), encoding="utf-8")
    zero = await rating(service, "simulate", *span, "--card", CARD)
    model.write_text(text.replace("customers: 50", "customers: 2"), encoding="utf-8")
    example = EXAMPLES / "llm_card_price_cut.yaml"
    priced = await rating(
        service, "simulate", *span, "--card", str(example), "--baseline", str(EXAMPLES / "llm_card.yaml")
    )
    trace.write_text(rows + "3,x,1\n", encoding="utf-8")
    model.write_text(begin, encoding="utf-8")
    broken = await rating(service, "simulate", *span, "--card", CARD)

    assert (
        twice.returncode,
        "segments[1].quantities: each dimension must be named, once" in twice.stderr,
    ) == (1, True)
    assert zero.returncode == 2
    assert zero.stderr.startswith(f"rating: {model}:19: segments[1].customers")
    assert (priced.returncode, priced.stderr) == (0, "")
    assert "usages of 5 contracts" in priced.stdout
    assert broken.stderr.startswith(f"rating: {trace}:4: ContextTokens: 'x'")


async def test_a_simulation_without_candidates_or_with_a_missing_file_says_so(service: Service) -> None:
    nothing = await rating(service, "simulate", *SPAN)
    missing = await rating(service, "simulate", *SPAN, "--card", "no-such.yaml")

    assert nothing.returncode == missing.returncode == 2
    assert "a --card or a --plan is needed" in nothing.stderr
    assert "there is no file 'no-such.yaml'" in missing.stderr
