"""Laws of streams: however chunks arrive, their totals at the end are the same."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.refusals import Refusal
from rating_service.domain.usage_stream import OPEN, SETTLING, Chunk, UsageStream, begin_settling, fold_chunk
from tests.unit.rating.builders import JANUARY

TTL = timedelta(minutes=10)


def chunk(sequence: int, *, final: bool = False) -> Chunk:
    return Chunk(
        contract="contracts/acme",
        usage_id="s",
        identity="i",
        sequence=sequence,
        received=b"totals of %d" % sequence,
        final=final,
        ttl=TTL,
    )


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, list[Chunk]]:
    """Some chunks of an answer, each at least once, in any order."""
    count = draw(st.integers(1, 6))
    is_final = draw(st.booleans())
    chunks = [chunk(n, final=is_final and n == count) for n in range(1, count + 1)]
    repeated = chunks + draw(st.lists(st.sampled_from(chunks), max_size=6))
    return count, draw(st.permutations(repeated))


@given(deliveries(), st.lists(st.integers(0, 599), min_size=12, max_size=12))
def test_any_order_and_number_of_chunks_ends_in_the_last_totals(
    delivery: tuple[int, list[Chunk]], seconds: list[int]
) -> None:
    count, chunks = delivery
    stream: UsageStream | None = None
    for each, second in zip(chunks, sorted(seconds), strict=False):
        stream = fold_chunk(stream, each, JANUARY + timedelta(seconds=second))
    assert stream is not None

    assert (stream.sequence, stream.received) == (count, b"totals of %d" % count)
    assert stream.state == (SETTLING if any(each.final for each in chunks) else OPEN)


@given(deliveries())
def test_what_has_begun_to_settle_never_changes(delivery: tuple[int, list[Chunk]]) -> None:
    _, chunks = delivery
    closed = begin_settling(fold_chunk(None, chunk(3), JANUARY), JANUARY + TTL)
    stream = closed
    for each in chunks:
        try:
            stream = fold_chunk(stream, each, JANUARY)
        except Refusal:
            assert each.sequence > 3 or each.final

    assert stream == closed
