import pytest

from app.web.rate_limits import RateLimit, TooMany


def test_the_window_slides(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr("app.web.rate_limits.time.monotonic", lambda: clock[0])
    limit = RateLimit(times=2, seconds=10)
    limit.count("a")
    clock[0] += 6
    limit.count("a")
    with pytest.raises(TooMany) as refused:
        limit.count("a")
    assert refused.value.seconds == 4
    limit.count("b")
    clock[0] += 4
    limit.count("a")
    with pytest.raises(TooMany):
        limit.count("a")
