"""Laws of rate windows: no minute ever holds more than the limit, and a naive recount agrees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.authorizing.rate_windows import MinuteWindows, Share

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMITS = {"a": 6, "b": 4}

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["take", "give_back", "correct"]),
        st.integers(0, 5).map(str),
        st.integers(0, 7),
        st.sampled_from([0, 1, 20_000_000, 59_999_999, 60_000_000]),
    ),
    max_size=40,
)


class Recount:
    """What was taken, by window and entry: the instant and the amount."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, tuple[datetime, int]]] = {"a": {}, "b": {}}

    def forget(self, now: datetime) -> None:
        """Drop what is over."""
        for name, taken in self.taken.items():
            self.taken[name] = {key: each for key, each in taken.items() if each[0] + MINUTE > now}

    def give_back(self, entry: str) -> None:
        """Drop an entry."""
        for taken in self.taken.values():
            taken.pop(entry, None)

    def correct(self, entry: str, actual: int, now: datetime) -> None:
        """Put the actual amount in place of an estimate of 3 in the first window."""
        taken = self.taken["a"]
        if entry in taken and actual < taken[entry][1]:
            taken[entry] = (taken[entry][0], actual)
        if actual > 3:
            taken.setdefault(f"{entry}+", (now, actual - 3))

    def take(self, entry: str, amount: int, now: datetime) -> list[bool]:
        """Take of both windows or of none, and return which of them had room."""
        fits = [
            entry in self.taken[name] or not amount or self.used(name) + amount <= limit
            for name, limit in LIMITS.items()
        ]
        if all(fits) and amount:
            for taken in self.taken.values():
                taken.setdefault(entry, (now, amount))
        return fits

    def used(self, name: str) -> int:
        """Return what is taken of a window."""
        return sum(amount for _, amount in self.taken[name].values())


@given(STEPS)
def test_windows_agree_with_a_naive_recount(steps: list[tuple[str, str, int, int]]) -> None:
    windows, recount, now = MinuteWindows(), Recount(), START
    for what, entry, amount, micros in steps:
        now += timedelta(microseconds=micros)
        recount.forget(now)
        if what == "give_back":
            windows.give_back(LIMITS, entry=entry)
            recount.give_back(entry)
        elif what == "correct":
            windows.correct("a", entry=entry, estimated=3, actual=amount, now=now)
            recount.correct(entry, amount, now)
        else:
            shares = [Share(name, limit, amount) for name, limit in LIMITS.items()]
            standings = windows.decide(shares, entry=entry, now=now, takes=True).standings

            assert [standing.fits for standing in standings] == recount.take(entry, amount, now)
            assert [standing.used for standing in standings] == [recount.used(name) for name in LIMITS]


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 30_000_000)), max_size=40))
def test_no_span_of_a_minute_holds_more_than_the_limit_and_a_wait_is_just_enough(
    asked: list[tuple[int, int]],
) -> None:
    windows, now, limit = MinuteWindows(), START, 7
    passed: list[tuple[datetime, int]] = []
    for at, (amount, micros) in enumerate(asked):
        now += timedelta(microseconds=micros)
        [standing] = windows.decide([Share("w", limit, amount)], entry=str(at), now=now, takes=True).standings
        if standing.fits:
            passed.append((now, amount))
        else:
            assert standing.wait is not None
            assert standing.wait > timedelta()
            early = now + standing.wait - timedelta(microseconds=1)
            for instant, fits in ((early, False), (now + standing.wait, True)):
                room = limit - sum(each for begun, each in passed if begun + MINUTE > instant)
                assert (amount <= room) is fits
    for begin, _ in passed:
        assert sum(amount for instant, amount in passed if begin <= instant < begin + MINUTE) <= limit
